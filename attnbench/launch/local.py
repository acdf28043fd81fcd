"""launch=local: processes on this machine."""

import os
from collections.abc import Sequence

from attnbench.errors import require
from attnbench.launch.launcher import Launcher, most_devices
from attnbench.launch.processes import LocalEngine, warm_up
from attnbench.runs.job import Job
from attnbench.runs.lookup import finished_records
from attnbench.runs.sweeps import LOCAL, SweepFolder

BYTES_PER_JOB = 2 * 1024**3
"""Memory that a job on the CPU is assumed to need."""
CONTEXT_BYTES = 600 * 1024**2
"""Memory of a GPU that a process needs beside its tensors."""
SHARE = 0.9
"""The part of a GPU's memory that is given out."""


class LocalLauncher(Launcher):
    """Runs jobs as processes on this machine.

    Args:
        jobs_per_device: that share a GPU or, where there is none, the machine's cores; `auto`: on a GPU as many as fit
            into its memory by what finished runs of the same networks needed, else one; without a GPU one per core,
            as memory allows.
    """

    name = LOCAL

    def __init__(self, jobs_per_device: str | int = "auto") -> None:
        require(
            jobs_per_device == "auto" or int(jobs_per_device) >= 1, "jobs_per_device", jobs_per_device,
            "must be at least 1, or auto",
        )  # fmt: skip
        self.jobs_per_device = jobs_per_device

    def prepare(self) -> None:
        """Start the server that jobs are forked from, which imports what they need."""
        warm_up()

    def automatic_slots(self, jobs: Sequence[Job]) -> int:
        """Return how many jobs to run at a time; one on several devices needs the room of as many.

        Without a GPU several jobs of one thread get more done than one job of several threads: on 2 cores, ResNet-20
        on cluttered digits trained at 618 img/s as two jobs and at 525 as one.
        """
        gpus = _gpus_for(jobs)
        if self.jobs_per_device != "auto":
            return max(1, max(1, gpus) * int(self.jobs_per_device) // most_devices(jobs))
        room = gpus * _jobs_on_gpu(jobs, gpus) if gpus else min(os.cpu_count() or 1, _jobs_in_memory())
        return max(1, min(len(jobs), room // most_devices(jobs)))

    def engine(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> LocalEngine:
        """Make the engine for this machine's processes."""
        return LocalEngine(slots * most_devices(jobs), gpus=_gpus_for(jobs))


def gpu_count() -> int:
    """Return the number of GPUs on this machine."""
    import torch

    return torch.cuda.device_count()


def _gpus_for(jobs: Sequence[Job]) -> int:
    """Return how many GPUs jobs may use: none if all of them compute on the CPU, as those that explain runs do."""
    on_cpu = all(job.config["trainer"]["accelerator"] == "cpu" for job in jobs)
    return 0 if on_cpu else gpu_count()


def _jobs_on_gpu(jobs: Sequence[Job], gpus: int) -> int:
    """Return how many jobs share a GPU: as many as fit, and at most one for each of the GPU's share of the cores."""
    import torch

    kinds = {job.folder.parent: job for job in jobs}
    measured = [measured_bytes(job) for job in kinds.values()]
    known = [needed for needed in measured if needed is not None]
    if len(known) < len(measured):
        return 1
    room = SHARE * min(torch.cuda.get_device_properties(device).total_memory for device in range(gpus))
    return max(1, min(int(room // (max(known) + CONTEXT_BYTES)), (os.cpu_count() or 1) // gpus))


def measured_bytes(job: Job) -> int | None:
    """Return the memory that finished runs of a job's kind needed on one GPU; None if there are none."""
    needed = [
        record.peak_memory_bytes
        for record in finished_records(job.folder.parent)
        if record.resolved.accelerator == "gpu" and record.peak_memory_bytes is not None
    ]
    return max(needed, default=None)


def _jobs_in_memory() -> int:
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // BYTES_PER_JOB)
    except (ValueError, OSError, AttributeError):
        return 1_000_000
