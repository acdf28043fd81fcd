"""`python -m attnbench` is the command `attnbench`."""

import os
import sys
from pathlib import Path

from attnbench.cli.main import main

READERS = ("evaluate", "table", "list")
"""Verbs that read runs, which may be a stranger's, with files of the stranger's beside them."""


def forget_current_folder() -> None:
    """Import nothing from the current folder, which `python -m` searches first; the command `attnbench` does not.

    In a checkout that is not installed, attnbench itself is there.
    """
    here = Path.cwd()
    if sys.path[:1] in ([""], [os.fspath(here)]) and not Path(__file__).is_relative_to(here):
        del sys.path[0]


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in READERS:
        forget_current_folder()
    sys.exit(main())
