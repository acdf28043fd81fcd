"""Exit statuses of the command line."""

DONE = 0
FAILED = 1
WRONG_INPUT = 2
INTERRUPTED = 130
