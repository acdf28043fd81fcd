"""Do the same as `attnbench cost`: `python scripts/cost.py attention=bam`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["cost", *sys.argv[1:]]))
