"""An offline report of a group of runs: their table, and what is behind each row."""
