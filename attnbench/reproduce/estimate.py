"""How long what is missing will take: from finished runs of the same kind, or else a few measured steps."""

from collections.abc import Sequence

from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record import FinishedRecord


def seconds_left(jobs: Sequence[Job], slots: int) -> tuple[float, list[str]]:
    """Seconds that jobs will take on so many slots, and why this leaves any of them out. Those that began are counted
    by the epochs that are left.
    """
    speeds: dict[str, float] = {}
    failures: dict[str, str] = {}
    total = 0.0
    for job in jobs:
        if job.identity not in {*speeds, *failures}:
            try:
                speeds[job.identity] = recorded_speed(job) or measured_speed(job, slots)
            except Exception as error:  # a network of the user's own may do anything; the run itself will tell
                failures[job.identity] = f"{type(error).__name__}: {error}"
        if job.identity in speeds:
            left = int(job.config["recipe"]["epochs"]) - len(readable(RunFolder(job.folder).rows, []))
            total += left * images_per_epoch(job) / speeds[job.identity]
    return total / min(slots, max(1, len(jobs))), sorted(set(failures.values()))


def recorded_speed(job: Job) -> float | None:
    """Images per second of a finished run that differs in its seed alone."""
    for folder in sorted(job.folder.parent.glob("seed*")):
        record = readable(RunFolder(folder).record, None)
        if isinstance(record, FinishedRecord):
            return record.images_per_second
    return None


def measured_speed(job: Job, slots: int) -> float:
    """Images per second of a few steps, on one slot's share of the cores."""
    import torch

    from attnbench.training.experiment import Experiment
    from attnbench.training.speed_probe import images_per_second

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(max(1, threads // slots))
        return images_per_second(Experiment(job.config))
    finally:
        torch.set_num_threads(threads)


def images_per_epoch(job: Job) -> int:
    """Images that an epoch trains on."""
    from attnbench.training.experiment import Experiment

    data = Experiment(job.config).data
    return int(data.train_images) - int(job.config["data"].get("validation", 0))
