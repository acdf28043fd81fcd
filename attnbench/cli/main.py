"""The command line. Imports nothing heavy before a verb needs it, so that help and mistakes are answered at once."""

import importlib
import os
import sys
from collections.abc import Sequence

from attnbench import __version__
from attnbench.errors import UserError, nearest
from attnbench.exit_codes import DONE, INTERRUPTED, WRONG_INPUT

VERBS = {
    "train": "train a run, or a sweep of runs with -m",
    "evaluate": "test trained runs anew, also under other settings",
    "reproduce": "run what is missing of a paper's table, and print it beside the paper's numbers",
    "table": "a paper's table, or one of your own runs, from records alone",
    "list": "what can be composed, which data is there, the papers' tables, the state of runs",
    "cost": "count parameters and multiply-adds",
}
"""Verbs that work, each a module of `attnbench.cli` with a `main`."""

HELP = """\
attnbench: compose a backbone, an attention and a data set; train, compare, reproduce.

usage: attnbench VERB …

{verbs}

attnbench VERB --help tells more. First steps:
  attnbench train                                   a real training in minutes, nothing to download
  attnbench train -m attention=none,bam seed=0,1,2  a sweep, one process a run, with a table at the end
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb on the command line and return the exit status. A mistake of the user's is one line, status 2."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return run(words)
    except UserError as error:
        print(f"attnbench: {error}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("attnbench: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def run(words: list[str]) -> int:
    """Dispatch to a verb."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(HELP.format(verbs="\n".join(f"  {verb:<9} {text}" for verb, text in VERBS.items())))
        return DONE
    verb, rest = words[0], words[1:]
    if verb == "--version":
        print(f"attnbench {__version__}")
        return DONE
    if verb in ("-sc", "--shell-completion"):  # what the shell asks while a command line is being typed
        return importlib.import_module("attnbench.cli.completion").query(rest, list(VERBS))
    if verb not in VERBS:
        raise UserError(f"{verb}: no such verb{nearest(verb, list(VERBS))} (verbs: {', '.join(VERBS)})")
    return int(importlib.import_module(f"attnbench.cli.{verb}").main(rest))


if __name__ == "__main__":
    sys.exit(main())
