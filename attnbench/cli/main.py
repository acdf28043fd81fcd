"""The command line. It imports nothing heavy before a verb needs it, so help and mistakes are answered at once."""

import errno
import importlib
import sys
from collections.abc import Sequence

from attnbench.cli.output import print_message, set_up_output
from attnbench.cli.streams import lost_output
from attnbench.cli.wrap import print_help
from attnbench.cores import choose_wait_policy
from attnbench.errors import UserError, nearest
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.termination import stopped_by_termination
from attnbench.version import __version__

VERBS = {
    "train": "train a network, or with -m a sweep of them",
    "tune-lr": "look for a learning rate by a short training in which it rises",
    "tune": "search the options of each attention alike, and compare the best",
    "evaluate": "test trained runs again, also under other settings",
    "predict": "name the classes of image files",
    "export": "write a trained network as a file that other programs run",
    "explain": "draw what trained runs see in images, and measure it",
    "reproduce": "train what a paper's table still lacks, and print it beside the paper's numbers",
    "table": "print a paper's table, or a table of your own runs, without training",
    "report": "write an offline page for a group of runs, with what is behind each row of their table",
    "status": "show the runs of sweeps, here or on a cluster: under way, waiting, done, failed",
    "stop": "stop a sweep or runs so that they can be resumed",
    "list": "list what you can combine, data sets, papers' tables and runs",
    "clean": "list what finished runs need no more, and remove it if asked to",
    "cost": "count parameters and multiply-adds, measure speed and memory",
    "bench": "measure attnbench's own speed against references, and against an earlier result",
}
"""The verbs, each a module of `attnbench.cli` with a function `main`."""

KEEP_RESULTS = ("train", "tune", "evaluate", "reproduce", "export", "report")
"""Verbs whose results are in files, whatever becomes of their output."""

OF_A_NAME = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO,
             errno.EROFS)  # fmt: skip
"""Errors of the system that a path on the command line causes, not the state of the machine."""

HELP = """\
attnbench: combine a backbone, an attention module and a data set; train, compare, reproduce papers' tables.

usage: attnbench VERB ...

{verbs}

attnbench VERB --help explains a verb. First steps:
  attnbench train                                   train ResNet-20 in minutes, nothing to download
  attnbench train attention=bam                     the same network with BAM
  attnbench train -m attention=none,bam seed=0,1,2  a sweep of six runs, with a table at the end
  attnbench list attention                          the attention modules
  attnbench list data                               the data sets, and which of them are on disk
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the verb on the command line and return the exit status.

    Args:
        arguments: the words after `attnbench`; those of this process if None.
    """
    set_up_output()
    choose_wait_policy()
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with stopped_by_termination():
            return _whole(words, run(words))
    except UserError as error:
        print_message(str(error))
        return WRONG_INPUT
    except OSError as error:
        print_message(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
        return WRONG_INPUT if error.errno in OF_A_NAME else FAILED
    except KeyboardInterrupt:
        print_message("interrupted")
        return INTERRUPTED


def _whole(words: Sequence[str], status: int) -> int:
    """Return the exit status; not 0 if the verb's result was what it prints, and part of that could not be written."""
    reason = lost_output()
    if reason is None:
        return status
    print_message(f"standard output could not be written: {reason}")
    return status or (DONE if words and words[0] in KEEP_RESULTS else FAILED)


def run(words: list[str]) -> int:
    """Call the verb's `main` and return the exit status. Raises `UserError` for a verb that does not exist."""
    if not words or words[0] in ("-h", "--help", "help"):
        print_help(HELP.format(verbs="\n".join(f"  {verb:<11} {text}" for verb, text in VERBS.items())))
        return DONE
    verb, rest = words[0], words[1:]
    if verb == "--version":
        print(f"attnbench {__version__}")
        return DONE
    if verb in ("-sc", "--shell-completion"):  # the shell asks while a command line is being typed
        return int(importlib.import_module("attnbench.cli.completion").main(rest, list(VERBS)))
    if verb not in VERBS:
        raise UserError(f"{verb}: no such verb{nearest(verb, list(VERBS))} (verbs: {', '.join(VERBS)})")
    return int(importlib.import_module(f"attnbench.cli.{verb.replace('-', '_')}").main(rest))


if __name__ == "__main__":
    sys.exit(main())
