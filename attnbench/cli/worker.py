"""A run in its own process, as the scheduler starts it: `python -m attnbench.cli.worker JOB.json`.

A worker composes nothing; its configuration comes in the file. For a run on several devices it starts a worker for
each, which learns its place among them from its command line.
"""

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from attnbench.cli.output import print_message, set_up_output
from attnbench.cores import choose_wait_policy
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.launch.lifeline import watch_lifeline
from attnbench.launch.ranks import run_ranks
from attnbench.plain_text import plain
from attnbench.runs.files import RunFileError
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.lock import RunLockedError
from attnbench.termination import heed_requests
from attnbench.training.distributed import MeetingError, World, forget_launchers

if TYPE_CHECKING:
    from attnbench.runs.record import FinishedRecord
    from attnbench.training.experiment import Experiment

AGAIN = "; run.again=true archives the run and trains it again"


def run_job(
    job: Job,
    console: Console,
    report: "Callable[[FinishedRecord], None] | None" = None,
    experiment: "Experiment | None" = None,
    world: World | None = None,
) -> int:
    """Do a job, print how it ended, and return the exit status.

    Args:
        job: the run to be done.
        console: where progress is shown.
        report: called with the finished run's record.
        experiment: what is made from the job's configuration, if the caller has it already.
        world: this process's place among those of a run on several devices.
    """
    from attnbench.training.metrics import ImageCountError
    from attnbench.training.train import train

    try:
        record = train(job, console, experiment, world)
    except UserError as error:
        return _end(f"{error}{AGAIN if isinstance(error, RunFileError) else ''}", WRONG_INPUT, world)
    except (RunLockedError, MeetingError, ImageCountError) as error:
        return _end(str(error), FAILED, world)
    except KeyboardInterrupt:
        epochs, total = len(RunFolder(job.folder).rows()), job.config["recipe"]["epochs"]
        return _end(
            f"interrupted after {epochs} of {total} epochs; the same command resumes the run", INTERRUPTED, world
        )
    except Exception as error:
        unknown = f"the run failed: {type(error).__name__}: {error} ({shown(job.folder)})"
        return _end(_reason(error, job, unknown), FAILED, world)
    if report is not None and record is not None:
        report(record)
    return DONE


def explain_run(job: Job) -> int:
    """Do a job of `attnbench explain`, print how it ended, and return the exit status."""
    from attnbench.cli.detections import DETECTION
    from attnbench.detection.explain import explain_one as explain_detector
    from attnbench.explain.jobs import explain_job
    from attnbench.explain.session import explain_one as explain_classifier
    from attnbench.training.experiment import Experiment

    try:
        explain = explain_detector if Experiment(job.config).task.name == DETECTION else explain_classifier
        print(plain(explain_job(job, explain), keep=""), flush=True)
    except UserError as error:
        return _end(str(error), WRONG_INPUT)
    except RunLockedError as error:
        return _end(str(error), FAILED)
    except KeyboardInterrupt:
        return _end("interrupted; the same command explains the run", INTERRUPTED)
    except Exception as error:
        return _end(_reason(error, job, f"{type(error).__name__}: {error}"), FAILED)
    return DONE


def _reason(error: Exception, job: Job, unknown: str) -> str:
    """Return why a job failed; for an error that nothing explains, print its traceback and return `unknown`."""
    from attnbench.training.failures import explain

    reason = explain(error, job)
    if reason is None:
        traceback.print_exc()
    return unknown if reason is None else reason


def _end(message: str, status: int, world: World | None = None) -> int:
    """Print a message, unless the first process of the run prints the same one, and return the status."""
    if world is None or world.rank == 0:
        print_message(message)
    return status


def work(job_file: Path, world: World | None = None) -> int:
    """Do the job in a file, print its result, and return the exit status.

    Args:
        job_file: a file that `Job.save` wrote.
        world: this process's place among those of the run; None if this process starts those that the run needs.
    """
    from attnbench.cli.views.summary import show_result
    from attnbench.console import make_console

    set_up_output()
    forget_launchers()
    try:
        job = Job.load(job_file)
        if job.explains is not None:
            return explain_run(job)
        devices = int(job.config["trainer"]["devices"])
        if world is None and devices > 1 and job.config["trainer"].get("nodes", 1) == 1:
            return run_ranks(job_file, devices)
        console = make_console()
        return run_job(job, console, lambda record: show_result(console, record, job.folder), world=world)
    except UserError as error:
        return _end(str(error), WRONG_INPUT)
    except KeyboardInterrupt:
        return _end("interrupted", INTERRUPTED, world)


def use_threads(number: int) -> None:
    """Compute on this number of CPU threads, as if the process had been started with OMP_NUM_THREADS."""
    import torch

    torch.set_num_threads(number)


def main(words: Sequence[str]) -> int:
    """Do what the command line says and return the exit status.

    `--lifeline` says that standard input is a pipe that the starter holds open; without it, the worker goes on when
    its starter ends, as in a cluster's queue.
    """
    parser = argparse.ArgumentParser("attnbench.cli.worker")
    parser.add_argument("job_file", type=Path)
    parser.add_argument("--lifeline", action="store_true")
    for name in ("rank", "size", "port", "listener"):
        parser.add_argument(f"--{name}", type=int)
    arguments = parser.parse_args(words)
    heed_requests()
    choose_wait_policy()
    if arguments.lifeline:
        watch_lifeline(0)
    world = None
    if arguments.rank is not None:
        serves = arguments.listener is not None
        world = World(arguments.rank, arguments.size, arguments.port, serves=serves, listener=arguments.listener)
    return work(arguments.job_file, world)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
