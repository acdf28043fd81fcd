"""A tuning: the searches of several methods over one space, their folder, and the runs of the winners."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.config.diff import differences, label
from attnbench.config.overrides import parse_one
from attnbench.config.schema import flatten
from attnbench.config.sweep import Sweep
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import make_folder
from attnbench.runs.folder import Job
from attnbench.runs.identity import readable_name
from attnbench.training.plan import plan
from attnbench.tune.options import Request
from attnbench.tune.search import Method, Search, Trial, library, open_storage
from attnbench.tune.space import Dimension

FOLDER = "tuned"
STUDY_FILE = "study.db"
CLASSIFICATION = "classification"
"""The task whose runs can be compared by what a trial reports."""
NOT_NAMED = ("trials", "final_seeds", "parallel", "storage")
"""Options that may change while a tuning goes on: they do not name its folder."""


@dataclass(frozen=True)
class Tuning:
    """Searches that are comparable, as space, budget and seeds are the same.

    Attributes:
        request: what was asked for.
        searches: one for each method.
        folder: of the study and the tables: `<output>/tuned/<space>-<hash>`.
        composer: composes the configurations of trials.
    """

    request: Request
    searches: list[Search]
    folder: Path
    composer: Composer

    @classmethod
    def open(cls, request: Request, sweep: Sweep, composer: Composer) -> "Tuning":
        """Check everything that can be checked before a run, and open the studies, which may have begun before.

        Raises:
            UserError: methods or space make no sense, or the storage cannot be opened.
        """
        library()
        methods = make_methods(request.space, sweep, composer)
        folder = tuning_folder(request, methods)
        make_folder(folder)
        storage = open_storage(request.options.storage or f"sqlite:///{folder / STUDY_FILE}")
        options = request.options
        searches = [Search(method, options, storage, f"{folder.name} {method.job.identity}") for method in methods]
        return cls(request, searches, folder, composer)

    def next_trials(self, slots: int) -> list[Trial]:
        """Return the trials that are done next, the same number for each method that has some left."""
        options = self.request.options
        room = slots // (len(self.searches) * options.seeds)
        count = max(1, min(room, options.startup)) if options.parallel == "auto" else int(options.parallel)
        return [trial for search in self.searches for trial in search.next_trials(count, self.composer)]

    def final_jobs(self) -> list[Job]:
        """Return the runs of the winners, on seeds that no trial has seen. Raises `UserError` without a winner."""
        options = self.request.options
        seeds = range(options.seeds, options.seeds + options.final_seeds)
        winners = [(search.method, search.winner()) for search in self.searches]
        return [job for method, chosen in winners for job in method.jobs(self.composer, chosen, seeds)]


def make_methods(space: Sequence[Dimension], sweep: Sweep, composer: Composer) -> list[Method]:
    """Return the methods of a sweep, each checked at the ends of its search space.

    Raises:
        UserError: a method cannot be run or has no validation images, no method has an option of the space, or the
            command line sets one.
    """
    _require_free(space, sweep)
    names = [label(difference) for difference in differences(sweep.configs)]
    ordered, methods = shared_first(space, sweep.configs), []
    for name, config, overrides in zip(names, sweep.configs, sweep.overrides, strict=True):
        if not config["data"].get("validation"):
            raise UserError(f"data={config.choices['data']}: tuning needs validation images; set data.validation")
        if config.choices.get("task", CLASSIFICATION) != CLASSIFICATION:
            raise UserError(f"task={config.choices['task']}: attnbench tune takes task={CLASSIFICATION} alone")
        own = tuple(dimension for dimension in ordered if _has(config, dimension.key))
        methods.append(Method(name or readable_name(config), plan(config), overrides, own))
    for dimension in space:
        if not any(dimension in method.space for method in methods):
            composer.compose([*sweep.overrides[0], *dimension.corners()[:1]])  # raises, with the names that there are
    for method in methods:
        check_corners(method, composer)
    return methods


def _require_free(space: Sequence[Dimension], sweep: Sweep) -> None:
    """Raise `UserError` for an override whose key is searched: each trial would replace its value."""
    searched = {dimension.key for dimension in space}
    for line in (line for lines in sweep.overrides for line in lines):
        if (key := parse_one(line).key_or_group) in searched:
            raise UserError(f"{line}: the search space has {key}; leave it out here, or take another search=…")


def shared_first(space: Sequence[Dimension], configs: Sequence[RunConfig]) -> list[Dimension]:
    """Return dimensions with those that all configurations have first: they are drawn alike for all methods then."""
    return sorted(space, key=lambda dimension: not all(_has(config, dimension.key) for config in configs))


def check_corners(method: Method, composer: Composer) -> None:
    """Raise `UserError` if a method has no option of the space, or a value at its ends cannot be run."""
    if not method.space:
        raise UserError(f"{method.name}: has none of the options of the search space")
    for corner in (corner for dimension in method.space for corner in dimension.corners()):
        plan(composer.compose([*method.overrides, corner]))


def _has(config: RunConfig, key: str) -> bool:
    return key in config.choices or key in flatten(config.values)


def tuning_folder(request: Request, methods: Sequence[Method]) -> Path:
    """Return the folder, named by the hash of all that decides which trials there are, up to their number."""
    options = {key: value for key, value in asdict(request.options).items() if key not in NOT_NAMED}
    space = [asdict(dimension) for dimension in request.space]
    content = json.dumps([[method.job.identity for method in methods], space, options], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()[:8]
    output = Path(methods[0].job.config["output"]).expanduser().absolute()
    return output / FOLDER / f"{request.search}-{digest}"
