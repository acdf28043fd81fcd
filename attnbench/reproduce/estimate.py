"""An estimate of the time that missing runs will take: from finished runs of the same kind, or a few measured steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record import FinishedRecord

if TYPE_CHECKING:
    from attnbench.training.experiment import Experiment


def seconds_left(jobs: Sequence[Job], slots: int) -> tuple[float, list[str]]:
    """Estimate the time that jobs will take. Of a run that has begun, only the epochs that are left count.

    Args:
        jobs: runs that are not finished.
        slots: how many run at a time.

    Returns:
        Seconds, and for each kind of run that could not be measured the error; such runs are not in the estimate.
    """
    from attnbench.training.experiment import Experiment

    epoch_seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    total = 0.0
    for job in jobs:
        if job.identity not in {*epoch_seconds, *failures}:
            experiment = Experiment(job.config)
            try:
                speed = recorded_speed(job) or measured_speed(experiment, slots)
            except Exception as error:  # a user's network may raise anything; the run itself will report it
                failures[job.identity] = f"{type(error).__name__}: {error}"
            else:
                epoch_seconds[job.identity] = images_per_epoch(experiment) / speed
        if job.identity in epoch_seconds:
            epochs = int(job.config["recipe"]["epochs"]) - len(readable(RunFolder(job.folder).rows, []))
            total += epochs * epoch_seconds[job.identity]
    return total / min(slots, max(1, len(jobs))), sorted(set(failures.values()))


def recorded_speed(job: Job) -> float | None:
    """Return the images per second of a finished run that differs only in its seed; None if there is none."""
    for folder in sorted(job.folder.parent.glob("seed*")):
        record = readable(RunFolder(folder).record, None)
        if isinstance(record, FinishedRecord):
            return record.images_per_second
    return None


def measured_speed(experiment: "Experiment", slots: int) -> float:
    """Measure the images per second of a few steps, on one slot's share of the cores."""
    import torch

    from attnbench.training.speed_probe import images_per_second

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(max(1, threads // slots))
        return images_per_second(experiment)
    finally:
        torch.set_num_threads(threads)


def images_per_epoch(experiment: "Experiment") -> int:
    """Return the number of images that an epoch trains on."""
    return int(experiment.data.train_images) - int(experiment.config["data"].get("validation", 0))
