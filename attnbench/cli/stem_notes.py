"""What `backbone.stem=auto` stands for in runs that are about to be trained, as it decides on their cost."""

from collections.abc import Iterable

from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder


def stem_notes(jobs: Iterable[Job]) -> list[str]:
    """Return in words what stem=auto stands for in each of the jobs that are not finished; equal notes once."""
    unfinished: dict[str, Job] = {}
    for job in jobs:
        if job.config["backbone"].get("stem") != "auto" or job.identity in unfinished:
            continue
        if job.again or not readable(RunFolder(job.folder).finished, False):
            unfinished[job.identity] = job
    if not unfinished:
        return []
    from attnbench.build import stem_note
    from attnbench.training.experiment import Experiment

    notes = (stem_note(job.config, Experiment(job.config).data.image_size) for job in unfinished.values())
    return list(dict.fromkeys(filter(None, notes)))
