"""Find finished runs by their records, before torch is imported: that takes seconds."""

import json
from collections.abc import Sequence
from typing import Any

from attnbench.config.validate import OWN_PACKAGE, RunConfig
from attnbench.construct import guarded
from attnbench.errors import UserError
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.identity import identity
from attnbench.runs.lock import tidy_finished
from attnbench.runs.record import FinishedRecord
from attnbench.training.addons import ADDONS, check_addons
from attnbench.training.experiment import Experiment
from attnbench.training.trainer_ranges import GRAPHS, WITHOUT_EFFECT, check_counts
from attnbench.version import __version__
from attnbench.weights.digest import digest_of

BUILT = ("backbone", "attention", "recipe", "task")
"""Groups whose constructors need torch. That of the data set does not, and has accepted its options."""


def all_finished(configs: Sequence[RunConfig]) -> list[Job] | None:
    """Return the jobs of configurations, each once, if `find_finished` finds them all; else None."""
    experiments: dict[str, Experiment] = {}  # once for all seeds: the fingerprint of files is read for it
    jobs: dict[str, Job] = {}
    for config in configs:
        experiment = experiments.setdefault(without_seed(config), Experiment(config))
        if (found := find_finished(experiment, config["seed"])) is None:
            return None
        jobs.setdefault(str(found[0].folder), found[0])
    return list(jobs.values())


def without_seed(config: RunConfig) -> str:
    """Return what configurations have in common that differ in their seeds alone."""
    return json.dumps({**config.values, "seed": None}, sort_keys=True)


def find_finished(experiment: Experiment, seed: int | None = None) -> tuple[Job, FinishedRecord] | None:
    """Return an experiment's job and record if the run is finished and nothing is left to check.

    Constructors of this version have accepted the configuration in the record. What differs from it without changing
    results is checked here. None is returned where that takes torch, where a check fails, and where anything is missing
    or damaged: `plan.check` and `train` say what.

    Args:
        experiment: the run.
        seed: of the run, if not the experiment's own.
    """
    try:
        job = _job_of(experiment)
        job = job if job is None or seed is None else job.with_seed(seed)
        run = RunFolder(job.folder) if job and not job.again else None
        record = run.record() if run and run.state() == "finished" else None
        if job is None or not isinstance(record, FinishedRecord) or not _is_accepted(experiment.config, record):
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


def _is_accepted(config: RunConfig, record: FinishedRecord) -> bool:
    """Return whether constructors of this version accept the configuration. Raises `UserError` if a check fails."""
    recorded, values = record.config, config.values
    if record.environment.attnbench != __version__ or any(recorded.get(group) != values.get(group) for group in BUILT):
        return False
    if any(recorded.get(group) != values.get(group) for group in ADDONS):
        check_addons(config)
    return _trainer_is_accepted(values["trainer"], recorded["trainer"])


def _trainer_is_accepted(options: dict[str, Any], recorded: dict[str, Any]) -> bool:
    different = {key for key in options | recorded if options.get(key) != recorded.get(key)}
    guarded("trainer", lambda: check_counts(options))
    return different <= WITHOUT_EFFECT and not ("compile" in different and options["compile"] == GRAPHS)
