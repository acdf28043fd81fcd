"""A job of Slurm's queue: it does some runs of a sweep side by side, and queues itself again when it has to go.

submitit starts it on a node of the cluster. What is sent there are paths of job files, never code or data.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnbench.exit_codes import DONE, FAILED, INTERRUPTED
from attnbench.launch.processes import LocalEngine
from attnbench.launch.scheduler import Scheduler
from attnbench.launch.slurm_queue import SlurmQueue, ask
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder

MOST_FRUITLESS = 5
"""Times in a row that a job is queued again although none of its runs has finished an epoch."""


class SlurmTask:
    """Does jobs in an allocation, and stops so that they can be resumed.

    SIGUSR1 and SIGUSR2, which Slurm sends some time before it stops a job, are handled by submitit: it calls
    `checkpoint`, and queues the job again. SIGTERM comes where the job is cancelled, and where it has to make room for
    others: only then is it queued again.

    Args:
        job_files: of the runs.
        fruitless: times in a row that this job was queued again without a finished epoch.
    """

    def __init__(self, job_files: Sequence[str], fruitless: int = 0) -> None:
        self.job_files, self.fruitless = list(job_files), fruitless
        self.scheduler: Scheduler | None = None
        self.epochs = 0

    def __call__(self) -> None:
        """Do the jobs, side by side. Exits with a status other than 0 unless all runs are finished."""
        jobs = [Job.load(Path(file)) for file in self.job_files]
        self.epochs = _epochs(jobs)
        self.scheduler = Scheduler(jobs, _engine(jobs))
        signal.signal(signal.SIGUSR1, signal.getsignal(signal.SIGUSR2))
        try:
            tasks = self.scheduler.run()
        except KeyboardInterrupt:
            if _makes_room():
                ask(("scontrol", "requeue", _own_id()))
            sys.exit(INTERRUPTED)
        failed = [task for task in tasks if task.state not in ("finished", "found")]
        for task in failed:
            print(f"{task.job.folder}: {task.state}: {task.reason}", flush=True)
        sys.exit(FAILED if failed else DONE)

    def checkpoint(self) -> Any:
        """Stop the runs, and return what is queued again; None if that was in vain too often."""
        from submitit.helpers import DelayedSubmission

        if self.scheduler is not None:
            self.scheduler.leave()
        fruitless = (
            0 if _epochs([Job.load(Path(file)) for file in self.job_files]) > self.epochs else self.fruitless + 1
        )
        return DelayedSubmission(SlurmTask(self.job_files, fruitless)) if fruitless <= MOST_FRUITLESS else None


def _engine(jobs: Sequence[Job]) -> LocalEngine:
    """Return the engine for the allocation's processors and GPUs."""
    slots = sum(int(job.config["trainer"]["devices"]) for job in jobs)
    cpus = int(os.environ.get("SLURM_CPUS_ON_NODE", "1"))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cpus // slots)))
    gpus = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    return LocalEngine(slots, gpus=len(gpus))


def _epochs(jobs: Sequence[Job]) -> int:
    return sum(len(readable(RunFolder(job.folder).rows, [])) for job in jobs)


def _own_id() -> str:
    return os.environ["SLURM_JOB_ID"]


def _makes_room() -> bool:
    """Return whether this job has to go although nobody has cancelled it: to the queue it still runs."""
    array, number = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    job = SlurmQueue().jobs().get(f"{array}_{number}" if array else _own_id())
    return job is not None and job.state == "RUNNING"
