"""Tables as their files describe them, and the configurations of their cells."""
