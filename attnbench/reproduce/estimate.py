"""An estimate of the time that missing runs will take: from finished runs of the same kind, or a few measured steps."""

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lookup import finished_records

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
    epoch_seconds, failures = seconds_per_epoch(jobs, slots)
    total = sum(epochs_left(job) * epoch_seconds[job.identity] for job in jobs if job.identity in epoch_seconds)
    return total / min(slots, max(1, len(jobs))), failures


def seconds_per_run(jobs: Sequence[Job], slots: int) -> tuple[dict[str, float], list[str]]:
    """Estimate the time that a whole run of each kind takes: that of finished runs, else from a few measured steps.

    Args:
        jobs: one of each kind at least.
        slots: how many run at a time.

    Returns:
        Seconds by identity, and the errors of kinds that could not be measured.
    """
    recorded = {job.identity: seconds for job in jobs if (seconds := recorded_seconds(job)) is not None}
    others = [job for job in jobs if job.identity not in recorded]
    epoch_seconds, failures = seconds_per_epoch(others, slots)
    measured = {
        job.identity: int(job.config["recipe"]["epochs"]) * epoch_seconds[job.identity]
        for job in others
        if job.identity in epoch_seconds
    }
    return {**measured, **recorded}, failures


def seconds_per_epoch(jobs: Sequence[Job], slots: int) -> tuple[dict[str, float], list[str]]:
    """Return the seconds of an epoch by identity, and the errors of kinds that could not be measured."""
    from attnbench.training.experiment import Experiment

    seconds: dict[str, float] = {}
    failures: dict[str, str] = {}
    for job in jobs:
        if job.identity in {*seconds, *failures}:
            continue
        experiment = Experiment(job.config)
        try:
            speed = recorded_speed(job) or measured_speed(experiment, slots)
        except Exception as error:  # a user's network may raise anything; the run itself will report it
            failures[job.identity] = f"{type(error).__name__}: {error}"
        else:
            seconds[job.identity] = images_per_epoch(experiment) / speed
    return seconds, sorted(set(failures.values()))


def epochs_left(job: Job) -> int:
    """Return how many epochs of a run are still to be trained."""
    return int(job.config["recipe"]["epochs"]) - len(readable(RunFolder(job.folder).rows, []))


def recorded_seconds(job: Job) -> float | None:
    """Return the mean time of the finished runs that differ from a job only in the seed; None if there are none."""
    seconds = [record.wall_seconds for record in finished_records(job.folder.parent)]
    return fmean(seconds) if seconds else None


def recorded_speed(job: Job) -> float | None:
    """Return the images per second of a finished run that differs only in its seed; None if there is none."""
    return next((record.images_per_second for record in finished_records(job.folder.parent)), None)


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
