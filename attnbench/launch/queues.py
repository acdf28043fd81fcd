"""The queues of clusters, as those see them who did not start the jobs: which jobs are open, and how to cancel them."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from attnbench.runs.sweeps import SweepRecord


class Queue(Protocol):
    """A cluster's queue."""

    def open_tasks(self) -> Mapping[str, str]:
        """Return what each job that has not ended waits for, in a word; empty for those that run.

        Raises:
            UserError: the queue cannot be asked.
        """

    def endings(self, tasks: Iterable[str]) -> Mapping[str, str]:
        """Return in a word how jobs ended, of those of which the cluster knows it."""

    def cancel(self, tasks: Iterable[str]) -> None:
        """End jobs so that their runs can be resumed, and those that wait before they start. Raises `UserError`."""


def queue_of(record: SweepRecord) -> Queue | None:
    """Return the queue in which a sweep's jobs are; None where there is none, as for processes on a machine."""
    if record.engine == "slurm":
        from attnbench.launch.slurm_queue import SlurmQueue

        return SlurmQueue()
    if record.engine == "ray" and record.address:
        from attnbench.launch.ray_engine import RayQueue

        return RayQueue(record.address)
    return None
