"""Do the same as `attnbench evaluate`: `python scripts/evaluate.py RUN data.distractors=16`."""

import sys

from attnbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
