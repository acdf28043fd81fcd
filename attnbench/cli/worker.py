"""A run in its own process, as the scheduler starts it: `python -m attnbench.cli.worker JOB.json`.

A worker composes nothing; its configuration comes in the file. When Lightning starts further ranks for a run on several
devices, it repeats this very command, which is why such runs never start from the command line's process itself.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attnbench.cli.output import print_message, set_up_output
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.lock import RunLockedError

if TYPE_CHECKING:
    from attnbench.runs.record import FinishedRecord
    from attnbench.training.experiment import Experiment


def run_job(
    job: Job,
    console: Console,
    report: "Callable[[FinishedRecord], None] | None" = None,
    experiment: "Experiment | None" = None,
) -> int:
    """Do a job, print how it ended, and return the exit status.

    Args:
        job: the run to be done.
        console: where progress is shown.
        report: called with the finished run's record.
        experiment: what is made from the job's configuration, if the caller has it already.
    """
    from attnbench.training.failures import explain
    from attnbench.training.train import train

    try:
        record = train(job, console, experiment)
    except UserError as error:
        return _end(str(error), WRONG_INPUT)
    except RunLockedError as error:
        return _end(str(error), FAILED)
    except KeyboardInterrupt:
        epochs, total = len(RunFolder(job.folder).rows()), job.config["recipe"]["epochs"]
        return _end(f"interrupted after {epochs} of {total} epochs; the same command resumes the run", INTERRUPTED)
    except Exception as error:
        reason = explain(error, job)
        if reason is None:
            traceback.print_exc()
            reason = f"the run failed: {type(error).__name__}: {error} ({shown(job.folder)})"
        return _end(reason, FAILED)
    if report is not None and record is not None:
        report(record)
    return DONE


def _end(message: str, status: int) -> int:
    print_message(message)
    return status


def work(job_file: Path) -> int:
    """Do the job in a file, print its result, and return the exit status."""
    from attnbench.cli.views.summary import show_result
    from attnbench.console import make_console

    set_up_output()
    try:
        job = Job.load(job_file)
    except UserError as error:
        return _end(str(error), WRONG_INPUT)
    console = make_console()
    return run_job(job, console, lambda record: show_result(console, record, job.folder))


def use_threads(number: int) -> None:
    """Compute on this number of CPU threads, as if the process had been started with OMP_NUM_THREADS."""
    import torch

    torch.set_num_threads(number)


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])))
