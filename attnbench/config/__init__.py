"""From what the user typed to a checked configuration, in under a second: nothing here imports torch."""
