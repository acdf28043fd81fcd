"""Completion by the shell.

The code that `attnbench train -sc install=bash` prints is Hydra's: it asks the command itself, without a verb, what may
follow the line typed so far. Here the verb is taken off that line, and Hydra asked about the rest.
"""

import os
from collections.abc import Sequence

from attnbench.cli.train import main as train
from attnbench.exit_codes import DONE

WITH_OVERRIDES = ("train", "evaluate", "cost")


def query(words: Sequence[str], verbs: Sequence[str]) -> int:
    """Print what may come next, given `query=<shell>` and the line in `COMP_LINE`."""
    line = os.environ.get("COMP_LINE", "")
    command, *typed = line.split(" ") if line else [""]
    if typed and typed[0] in WITH_OVERRIDES and len(typed) > 1:
        *before, last = typed[1:]
        if typed[0] == "evaluate":  # Hydra knows no names of runs
            before = [word for word in before if "=" in word]
        os.environ["COMP_LINE"] = " ".join([command, *before, last])
        return train(["-sc", *words])
    if len(typed) <= 1:
        print(" ".join(verb for verb in verbs if verb.startswith(typed[0] if typed else "")))
    return DONE
