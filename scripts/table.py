"""Do the same as `attnbench table`: `python scripts/table.py bam/1b --profile quick`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["table", *sys.argv[1:]]))
