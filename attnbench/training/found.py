"""Find a finished run by its record, before torch is imported: that takes seconds."""

from attnbench.config.validate import OWN_PACKAGE
from attnbench.errors import UserError
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.identity import identity
from attnbench.runs.lock import tidy_finished
from attnbench.runs.record import GROUPS, FinishedRecord
from attnbench.training.experiment import Experiment
from attnbench.version import __version__
from attnbench.weights.digest import digest_of

CHECKED = (*GROUPS, "task", "logger", "callbacks")
"""Groups of a configuration that are checked before a run starts."""


def find_finished(experiment: Experiment) -> tuple[Job, FinishedRecord] | None:
    """Return an experiment's job and record if the run is finished and nothing is left to check.

    Constructors of this version have accepted the configuration in the record. None is returned where they would have
    to be asked again, because a key that changes no result is different, and where anything is missing or damaged:
    `plan.check` and `train` say what.
    """
    try:
        job = _job_of(experiment)
        run = RunFolder(job.folder) if job and not job.again else None
        record = run.record() if run and run.state() == "finished" else None
        if job is None or not isinstance(record, FinishedRecord) or not _was_checked(experiment, record):
            return None
        tidy_finished(job.folder)
        experiment.data.check_available()
    except (UserError, OSError):
        return None
    return job, record


def _job_of(experiment: Experiment) -> Job | None:
    """Return the job; None for weights that have to be read to know which they are."""
    backbone = experiment.config["backbone"]
    source = backbone.get("weights")
    if source is None:
        return experiment.job
    if source == "default" or not str(backbone["_target_"]).startswith(OWN_PACKAGE):
        return None
    return experiment.job_named(identity(experiment.config, experiment.data.fingerprint(), digest_of(source)))


def _was_checked(experiment: Experiment, record: FinishedRecord) -> bool:
    """Return whether this version has trained the very same configuration."""
    recorded, values = record.config, experiment.config.values
    same = all(recorded.get(group) == values[group] for group in CHECKED)
    return same and record.environment.attnbench == __version__
