"""Completion by the shell.

`attnbench train -sc install=bash` prints Hydra's code for the shell. That code calls the command itself, without a
verb, to ask what may follow the line typed so far. Here the verb is removed from that line, and Hydra answers for the
rest.
"""

import os
from collections.abc import Sequence

from attnbench.cli.train import main as train
from attnbench.exit_codes import DONE

WITH_OVERRIDES = ("train", "tune-lr", "evaluate", "cost")


def main(words: Sequence[str], verbs: Sequence[str]) -> int:
    """Print what may come next, given `query=<shell>` and the typed line in the environment's `COMP_LINE`."""
    line = os.environ.get("COMP_LINE", "")
    command, *typed = line.split(" ") if line else [""]
    if len(typed) > 1 and typed[0] in WITH_OVERRIDES:
        *before, last = typed[1:]
        if typed[0] == "evaluate":  # Hydra takes names of runs for overrides
            before = [word for word in before if "=" in word]
        os.environ["COMP_LINE"] = " ".join([command, *before, last])
        return train(["-sc", *words])
    if len(typed) <= 1:
        print(" ".join(verb for verb in verbs if verb.startswith(typed[0] if typed else "")))
    return DONE
