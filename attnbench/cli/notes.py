"""What is said of runs that are about to be trained: what their configuration leaves open, or without effect."""

from collections.abc import Iterable

from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder


def notes_on(jobs: Iterable[Job]) -> list[str]:
    """Return the notes on each of the jobs that are not finished; equal ones once."""
    unfinished: dict[str, Job] = {}
    for job in jobs:
        if job.identity in unfinished or not _may_have_notes(job):
            continue
        if job.again or not readable(RunFolder(job.folder).finished, False):
            unfinished[job.identity] = job
    if not unfinished:
        return []
    from attnbench.training.experiment import Experiment

    return list(dict.fromkeys(note for job in unfinished.values() for note in Experiment(job.config).notes))


def _may_have_notes(job: Job) -> bool:
    """Return whether it takes an `Experiment` to find out; that imports torch."""
    return job.config["backbone"].get("stem") == "auto" or job.config["recipe"]["schedule"] == "multi_step"
