"""One piece of work for each of several trained runs: a failure of one is reported and does not stop the others."""

import traceback
from collections.abc import Callable, Sequence

from rich.text import Text

from attnbench.cli.output import print_message
from attnbench.console import make_console
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED
from attnbench.plain_text import plain
from attnbench.runs.disk import WriteError
from attnbench.runs.evaluations import Evaluation, SaveError
from attnbench.runs.folder import shown


def for_each(runs: Sequence[Evaluation], work: Callable[[Evaluation], None], doing: str, plural: str) -> int:
    """Do a piece of work for each run and return the exit status.

    Args:
        runs: trained runs.
        work: what is done.
        doing: a word for it, as it goes on.
        plural: a word for several.
    """
    status, console = DONE, make_console(stderr=True)
    for number, run in enumerate(runs, 1):
        folder = shown(run.run.path)
        try:
            with console.status(Text(f"{doing} {number} of {len(runs)}: {plain(folder)}")):
                failure = _failure(run, work)
        except KeyboardInterrupt:
            print_message(f"interrupted after {number - 1} of {len(runs)} {plural}")
            return INTERRUPTED
        if failure:
            print_message(f"{folder}: {failure}")
            status = FAILED
    return status


def _failure(run: Evaluation, work: Callable[[Evaluation], None]) -> str | None:
    """Do the work for one run. Return what went wrong, if anything did."""
    from attnbench.training.failures import memory_line, out_of_memory

    try:
        work(run)
    except UserError as error:
        return f"failed: {error}"
    except (SaveError, WriteError) as error:
        return f"the result could not be kept: {error}"
    except Exception as error:
        if out_of_memory(error):
            return f"failed: {memory_line(error, run.config['data']['batch_size'])}"
        traceback.print_exc()
        return f"failed: {type(error).__name__}: {error}"
    return None
