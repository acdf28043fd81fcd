"""Do the same as `attnbench reproduce`: `python scripts/reproduce.py bam/1b --profile quick`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["reproduce", *sys.argv[1:]]))
