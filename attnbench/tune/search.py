"""The search of one method: an Optuna study, each trial of which trains one run for every seed.

The study alone says what has been tried. A trial gets its values once, when it is begun; if the command ends before the
trial does, the next one finds it unfinished in the study and trains the same runs on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING, Any

from attnbench.config.compose import Composer
from attnbench.errors import NotInstalledError, UserError
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.metric_names import BEST_VAL_TOP1
from attnbench.runs.record import FinishedRecord
from attnbench.seeding import derive_seed
from attnbench.training.plan import plan
from attnbench.tune.options import TuneOptions
from attnbench.tune.space import Dimension

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

EPOCHS = "recipe.epochs"
"""The key of a run's epochs, which may be searched."""


@dataclass(frozen=True)
class Method:
    """What is tuned: a network with or without an attention.

    Attributes:
        name: what tells it from the others, in words.
        job: its run before tuning.
        overrides: that give its configuration.
        space: the dimensions that its configuration has.
    """

    name: str
    job: Job
    overrides: tuple[str, ...]
    space: tuple[Dimension, ...]

    @property
    def epochs(self) -> int:
        """Epochs of a run; the most of one, where they are searched."""
        searched = (dimension.values for dimension in self.space if dimension.key == EPOCHS)
        return max(map(int, next(searched, [self.job.config["recipe"]["epochs"]])))

    def jobs(self, composer: Composer, chosen: Sequence[str], seeds: Sequence[int]) -> list[Job]:
        """Return its runs under further overrides. Raises `UserError`."""
        job = plan(composer.compose([*self.overrides, *chosen]))
        return [job.with_seed(seed) for seed in seeds]


@dataclass
class Trial:
    """A trial that has no result yet.

    Attributes:
        method: what it is a trial of.
        handle: Optuna's trial.
        chosen: the overrides with its values.
        jobs: its runs, one for each seed.
        stopped: whether it was stopped, as others are better.
    """

    method: Method
    handle: "optuna.Trial"
    chosen: list[str]
    jobs: list[Job]
    stopped: bool = False
    reported: int = field(init=False)

    def __post_init__(self) -> None:
        self.reported = max(self.handle.study.trials[self.handle.number].intermediate_values, default=0)

    @property
    def name(self) -> str:
        """The method, and the trial's number, from 1 on."""
        return f"{self.method.name} trial {self.handle.number + 1}"

    @property
    def epochs(self) -> int:
        """Epochs of each of its runs."""
        return int(self.jobs[0].config["recipe"]["epochs"])

    def outcome(self) -> str:
        """Return how the trial ended, in words."""
        frozen = self.handle.study.trials[self.handle.number]
        if frozen.value is not None and frozen.state == states().COMPLETE:
            return f"validation accuracy {frozen.value:.2%}"
        return f"stopped after {self.reported} epochs" if self.stopped else "diverged"

    def report(self) -> list[int]:
        """Tell the study the validation accuracies of epochs that all runs have finished, and return those epochs.

        An epoch's accuracy is the mean over the runs.
        """
        curves = [[row.monitored for row in readable(RunFolder(job.folder).rows, [])] for job in self.jobs]
        new = list(range(self.reported + 1, min(map(len, curves)) + 1))
        for epoch in new:
            self.handle.report(fmean(curve[epoch - 1] or 0.0 for curve in curves), epoch)
        self.reported = max(new, default=self.reported)
        return new

    def stop(self) -> None:
        """Tell the study that the trial is given up."""
        self.stopped = True
        self.handle.study.tell(self.handle.number, state=states().PRUNED)

    def settle(self) -> bool:
        """Tell the study how the trial ended, its accuracy or that training diverged; return whether it has ended."""
        records = [readable(RunFolder(job.folder).record, None) for job in self.jobs]
        study, number = self.handle.study, self.handle.number
        if any(record is not None and record.status == "diverged" for record in records):
            study.tell(number, state=states().FAIL)
            return True
        finished = [record for record in records if isinstance(record, FinishedRecord)]
        if len(finished) < len(self.jobs):
            return False
        self.report()
        study.tell(number, fmean(record.metrics[BEST_VAL_TOP1] or 0.0 for record in finished))
        return True


class Search:
    """The search of a method.

    Args:
        method: what is tuned.
        options: budget and rules.
        storage: where the study is kept.
        name: of the study, unique in the storage.
    """

    def __init__(self, method: Method, options: TuneOptions, storage: "BaseStorage", name: str) -> None:
        self.method, self.options = method, options
        self.study = library().create_study(
            storage=storage,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
            pruner=_pruner(options, method.epochs),
        )

    def next_trials(self, count: int, composer: Composer) -> list[Trial]:
        """Return the trials to be done next, at most `count`: those that were begun before, then new ones."""
        optuna = library()
        known = self.study.get_trials(deepcopy=False)
        begun = [frozen for frozen in known if not frozen.state.is_finished()]
        handles = [optuna.Trial(self.study, frozen._trial_id) for frozen in begun[:count]]
        for number in range(len(known), min(len(known) + count - len(handles), self.options.trials)):
            self.study.sampler = _sampler(self.options, number)
            handles.append(self.study.ask())
        return [self._trial(handle, composer) for handle in handles]

    def _trial(self, handle: "optuna.Trial", composer: Composer) -> Trial:
        chosen = [dimension.suggest(handle) for dimension in self.method.space]
        jobs = self.method.jobs(composer, [*chosen, "test=false"], range(self.options.seeds))
        return Trial(self.method, handle, chosen, jobs)

    def counts(self) -> Mapping[str, int]:
        """Return how many trials are in each state: `complete`, `pruned`, `fail`, `running`."""
        found = [frozen.state.name.lower() for frozen in self.study.get_trials(deepcopy=False)]
        return {state: found.count(state) for state in ("complete", "pruned", "fail", "running")}

    @cached_property
    def best(self) -> "optuna.trial.FrozenTrial | None":
        """The trial with the highest accuracy, the first one if several are as good; None if no trial is complete."""
        complete = self.study.get_trials(states=[states().COMPLETE])
        return max(complete, key=lambda frozen: (frozen.value, -frozen.number), default=None)

    def winner(self) -> list[str]:
        """Return the overrides with the values of the best trial. Raises `UserError` if no trial is complete."""
        if self.best is None:
            raise UserError(f"{self.method.name}: none of its trials has a result, so there is nothing to compare")
        return [dimension.override(self.best.params[dimension.key]) for dimension in self.method.space]

    def epochs_trained(self) -> int:
        """Return how many epochs all trials took, over all seeds."""
        known = self.study.get_trials(deepcopy=False)
        return self.options.seeds * sum(max(frozen.intermediate_values, default=0) for frozen in known)


def library() -> Any:
    """Import Optuna. Raises `NotInstalledError`."""
    try:
        import optuna
    except ImportError as error:
        raise NotInstalledError(
            "attnbench tune searches with optuna, which is not installed: pip install 'attnbench[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def states() -> Any:
    """Return Optuna's states of trials."""
    return library().trial.TrialState


def open_storage(address: str) -> "BaseStorage":
    """Open the storage of studies at an address of SQLAlchemy's form. Raises `UserError`."""
    optuna = library()
    from sqlalchemy.exc import SQLAlchemyError

    try:
        storage: BaseStorage = optuna.storages.RDBStorage(address)
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"tune.storage: cannot be opened: {reason}") from None  # the address may hold a password
    return storage


def _sampler(options: TuneOptions, number: int) -> "optuna.samplers.BaseSampler":
    """Return what chooses the values of trial `number`, from this number and the results before it alone.

    So a study that goes on draws what an uninterrupted one would have drawn, and all methods begin alike.
    """
    samplers, seed = library().samplers, derive_seed(0, "trial", number)
    if options.sampler == "random" or number < options.startup:
        return samplers.RandomSampler(seed)
    return samplers.TPESampler(seed=seed, n_startup_trials=1)


def _pruner(options: TuneOptions, epochs: int) -> "optuna.pruners.BasePruner":
    pruners, grace = library().pruners, round(options.grace * epochs)
    if options.pruner == "median":
        return pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=grace + 1)
    if options.pruner == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=grace + 1, reduction_factor=3)
    return pruners.NopPruner()
