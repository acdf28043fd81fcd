"""The state that an unfinished run goes on from: its last checkpoint and the metrics of the epochs before it.

Both are checked before they are used, and against each other. What can be restored without loss is restored, with a
warning: metrics from the checkpoint, and the weights of the best epoch where that is the last one. All else ends in
one line.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from attnbench.classifier import Network
from attnbench.errors import UserError
from attnbench.runs.epoch_rows import EpochRow, best_row
from attnbench.runs.files import shown
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.json_objects import JsonObject, read_object
from attnbench.training.checkpoints import (
    HELP,
    TRAINING_STATE,
    damaged_checkpoint,
    epoch_of,
    not_finite,
    read_checkpoint,
    weights_problem,
    write_checkpoint,
)
from attnbench.training.optimizers import make_optimizer
from attnbench.training.recipe import Recipe

OWN_STATE = "SaveCheckpoints"
"""The key of the run's own state in a checkpoint, among those of the callbacks."""
logger = logging.getLogger(__name__)
Rows = list[EpochRow]


@dataclass(frozen=True, kw_only=True)
class OwnState(JsonObject):
    """The run's own state in a checkpoint; `SaveCheckpoints` writes it.

    identity, seed: of the run. rows: the metrics of the epochs before the checkpoint. optimised: parameters for which
    the optimiser has a state. stopped: whether training ended early, so that no epoch is left.
    """

    identity: str
    seed: int
    rows: list[EpochRow]
    optimised: int
    stopped: bool = False


class Resumption(NamedTuple):
    """Where training begins.

    checkpoint: the file, None for a new run. rows: of the epochs before it. stopped: whether training ended early.
    """

    checkpoint: str | None
    rows: Rows
    stopped: bool = False


@dataclass(frozen=True)
class Resumable:
    """A run that may have begun before.

    Args:
        job: the run.
        net: its network, with the recipe's parameters frozen.
        recipe: how it is trained.
        finite: whether all weights must be finite.
    """

    job: Job
    net: Network
    recipe: Recipe
    finite: bool = True

    @property
    def run(self) -> RunFolder:
        """The run's folder."""
        return RunFolder(self.job.folder)

    def resumption(self, owner: bool) -> Resumption:
        """Return where the run goes on.

        Args:
            owner: whether this process owns the run's folder, and restores what can be restored.

        Raises:
            UserError: a file is damaged and cannot be restored.
        """
        path = self.run.last_checkpoint
        if path.is_dir():
            raise damaged_checkpoint(path, "it is a folder, not a file")
        if not path.is_file():
            if owner and epochs_in(self.run) > 1:  # the first checkpoint is written right after the first row
                logger.warning("%s is missing: the run begins again from its first epoch", shown(path))
            return Resumption(None, [])
        last = read_checkpoint(path)
        own = own_state(last, shown(path))
        if problem := self.problem(last, own):
            raise damaged_checkpoint(path, problem)
        rows = rows_of_the_file(self.run, epoch_of(last)) if own is None else own.rows
        if owner:
            if own is not None:
                compare_metrics(self.run, rows)
            self.check_best(last, rows)
        return Resumption(str(path), rows, own is not None and own.stopped)

    def problem(self, last: Mapping[str, Any], own: OwnState | None) -> str:
        """Return why a checkpoint cannot be resumed from; empty if it can."""
        if own is not None and (own.identity, own.seed) != (self.job.identity, self.job.seed):
            return f"it is of another run ({own.identity}, seed {own.seed})"
        if own is not None and [row.epoch for row in own.rows] != list(range(1, epoch_of(last) + 1)):
            return f"it is of epoch {epoch_of(last)}, and holds the metrics of {len(own.rows)} epochs"
        return self._weights_problem(last) or self._optimiser_problem(last, own)

    def _weights_problem(self, checkpoint: Mapping[str, Any]) -> str:
        return weights_problem(checkpoint, self.net, self.finite, averaged=self.recipe.ema > 0)

    def _optimiser_problem(self, last: Mapping[str, Any], own: OwnState | None) -> str:
        """Return why the optimiser's state in a checkpoint does not fit the recipe's optimiser; empty if it does."""
        groups = make_optimizer(self.net, self.recipe).param_groups
        sizes = [len(group["params"]) for group in groups]
        parameters = [parameter for group in groups for parameter in group["params"]]
        try:
            (stored,) = last["optimizer_states"]
            if [len(group["params"]) for group in stored["param_groups"]] != sizes:
                return "its optimiser has other parameters"
            if own is not None and len(stored["state"]) != own.optimised:
                return f"its optimiser has the state of {len(stored['state'])} parameters instead of {own.optimised}"
            return next(self._wrong_states(stored["state"], parameters), "")
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            return f"its optimiser's state cannot be read ({type(error).__name__})"

    def _wrong_states(self, states: Mapping[int, Mapping[str, Any]], parameters: list[Tensor]) -> Iterator[str]:
        for number, state in states.items():
            tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
            for name, value in tensors.items():
                if value.ndim and value.shape != parameters[number].shape:
                    yield f"its optimiser's {name} of parameter {number} is of another shape"
            for name in not_finite(tensors.items()) if self.finite else ():
                yield f"its optimiser's {name} of parameter {number} holds values that are not finite"

    def read_best(self, epoch: int) -> dict[str, Any]:
        """Read the checkpoint of the best epoch. Raises `UserError` if it is damaged, or of another epoch."""
        path = self.run.best_checkpoint
        best = read_checkpoint(path)
        if epoch_of(best) != epoch:
            raise damaged_checkpoint(path, f"it is of epoch {epoch_of(best)}, and the best one is epoch {epoch}")
        if problem := self._weights_problem(best):
            raise damaged_checkpoint(path, problem)
        return best

    def check_best(self, last: Mapping[str, Any], rows: Rows) -> None:
        """Check that `best` is of the best epoch; a process that died before it wrote it left the weights in `last`.

        Raises:
            UserError: it is damaged, or of another epoch, and `last` is of a later one than the best.
        """
        row = best_row(rows)
        if row is None:
            return
        try:
            self.read_best(row.epoch)
        except UserError:
            if row.epoch != len(rows):
                raise
            best = {key: value for key, value in last.items() if key not in TRAINING_STATE}
            write_checkpoint(best, self.run.best_checkpoint)


def own_state(last: Mapping[str, Any], where: str) -> OwnState | None:
    """Return the run's own state in a checkpoint; None in one of an earlier version. Raises `UserError`."""
    callbacks = last.get("callbacks")
    content = callbacks.get(OWN_STATE) if isinstance(callbacks, dict) else None
    return None if content is None else read_object(OwnState, content, where)


def epochs_in(run: RunFolder) -> int:
    """Return how many epochs the metrics hold; 0 if they are damaged."""
    try:
        return len(run.rows())
    except UserError:
        return 0


def rows_of_the_file(run: RunFolder, epochs: int) -> Rows:
    """Return the metrics of the epochs before a checkpoint that does not hold them. Raises `UserError`."""
    rows = run.rows()
    if len(rows) < epochs:
        reason = f"it holds {len(rows)} epochs, and last.ckpt is of epoch {epochs}"
        raise UserError(f"{shown(run.metrics_file)}: damaged: {reason}; {HELP}")
    return rows[:epochs]


def compare_metrics(run: RunFolder, rows: Rows) -> None:
    """Log a warning unless the metrics of a run are those in its checkpoint, which count."""
    try:
        found = run.rows()
    except UserError as error:
        logger.warning("%s; its epochs are restored from last.ckpt", str(error).rpartition("; ")[0])
        return
    if found[: len(rows)] != rows or len(found) > len(rows) + 1:  # a row is written right before its checkpoint
        reason = f"it holds {len(found)} epochs, and last.ckpt those of {len(rows)}, which are restored"
        logger.warning("%s: not as it was written: %s", shown(run.metrics_file), reason)
