"""`python -m attnbench` is the command `attnbench`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
