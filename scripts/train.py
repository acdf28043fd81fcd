"""Do the same as `attnbench train`: `python scripts/train.py attention=bam`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
