"""Evaluations of a finished run: what to test, and the files beside the record that keep the results."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.errors import RunError, UserError
from attnbench.runs.evaluation_entry import CHECKPOINTS, INITIAL, EvaluationEntry
from attnbench.runs.files import read_json, readable, shown, write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.json_objects import read_object
from attnbench.runs.lock import Lock, owner_of
from attnbench.runs.metric_names import RECORDED, TEST, main_metric, metric_name
from attnbench.runs.record import FinishedRecord
from attnbench.runs.record_parts import Metrics

if TYPE_CHECKING:  # numpy is not needed to reject an override
    from attnbench.runs.predictions import SavedPredictions

__all__ = ["CHECKPOINTS", "Evaluation", "EvaluationEntry", "SaveError", "keep", "read_evaluations", "settle"]
PLAIN_SETTINGS = ("trainer.accelerator=cpu", "trainer.precision=fp32", "trainer.channels_last=false")
"""Settings under which images can be looked at and a network computes the same everywhere."""
RESPONSES = "responses"
READABLE = 80
"""Characters of an evaluation's settings in the name of its file of predictions."""


class SaveError(Exception):
    """A result could not be kept beside the run; the message says why."""


@dataclass(frozen=True)
class Evaluation:
    """A finished run to be tested.

    Args:
        run: its folder.
        record: what the run recorded.
        checkpoint: `last`, `best`, or `initial` for the weights that the run started with.
        config: the run's configuration, with the settings applied.
        settings: by dotted key, in which the configuration differs from the run's own.
        responses: whether the mean absolute responses of the stages are measured too.
    """

    run: RunFolder
    record: FinishedRecord
    checkpoint: str
    config: RunConfig
    settings: dict[str, Any]
    responses: bool = False

    @property
    def key(self) -> str:
        """The name that distinguishes this evaluation from others of the same run."""
        return " ".join([self.checkpoint, *self.named_settings, *([RESPONSES] if self.responses else [])])

    @property
    def named_settings(self) -> list[str]:
        """Settings as they would be typed, sorted."""
        return [f"{key}={value}" for key, value in sorted(self.settings.items())]

    @property
    def weights(self) -> Path:
        """The checkpoint's file."""
        return self.run.best_checkpoint if self.checkpoint == "best" else self.run.last_checkpoint

    @property
    def own_predictions(self) -> Path:
        """The file of predictions that the run's own test writes for this checkpoint."""
        return self.run.last_predictions if self.epoch == self.record.epochs else self.run.best_predictions

    @property
    def predictions(self) -> Path:
        """The file of predictions: without settings, the one that the run's own test of this checkpoint writes."""
        if not self.settings and self.checkpoint != INITIAL:
            return self.own_predictions
        key = " ".join([self.checkpoint, *self.named_settings])
        readable = re.sub(r"[^\w.=-]+", "-", key)[:READABLE]
        return self.run.last_predictions.with_name(f"{readable}-{hashlib.sha256(key.encode()).hexdigest()[:8]}.npz")

    @property
    def epoch(self) -> int:
        """The epoch, counted from 1, after which the checkpoint was written; 0 for the initial weights."""
        if self.checkpoint == INITIAL:
            return 0
        best = self.record.best_epoch if self.checkpoint == "best" else None
        return best or self.record.epochs

    @property
    def recorded(self) -> Metrics:
        """The main metric that the run's own test gave for this checkpoint, None if it gave none, by flat name."""
        value = None if self.checkpoint == INITIAL else self.record.main_value(TEST, best=self.checkpoint == "best")
        return {metric_name(RECORDED, main_metric(self.record.metrics)): value}


def settle(
    run: RunFolder, checkpoint: str, composer: Composer, overrides: Sequence[str], responses: bool = False
) -> Evaluation:
    """Resolve run, checkpoint and overrides to an evaluation, on one device however many the run was trained on.

    Args:
        run: the run's folder.
        checkpoint: `last`, `best` or `initial`.
        composer: composes the run's choices as they are today.
        overrides: settings to test the run under.
        responses: whether the mean absolute responses of the stages are measured too.

    Raises:
        UserError: the run or the overrides do not allow it.
    """
    record = finished_record(run, checkpoint)
    values = {**record.config, "trainer": {**record.config["trainer"], "devices": 1, "nodes": 1}}
    config, settings = recompose(composer, record.choices, values, overrides)
    for key in ("devices", "nodes"):
        if config["trainer"][key] != 1:
            raise UserError(f"trainer.{key}={config['trainer'][key]}: an evaluation runs on one device")
    return Evaluation(run, record, checkpoint, config, settings, responses)


def finished_record(run: RunFolder, checkpoint: str) -> FinishedRecord:
    """Return the record of a run that is finished and has the checkpoint. Raises `RunError` for any other run."""
    state, record = run.state(), run.record()
    weights = run.best_checkpoint if checkpoint == "best" else run.last_checkpoint
    if state == "running":
        raise RunError("the run is being trained; wait until it is finished")
    if not isinstance(record, FinishedRecord):
        if run.last_checkpoint.is_file():
            raise RunError(
                f"the run is {state} after {run.epochs()} epochs; finish it first: the same training command continues"
            )
        raise RunError(f"the run is {state} and has no checkpoint; train it first")
    if checkpoint == "best" and not record.held_out:
        raise RunError("the run has no best checkpoint, as it held out no validation images; --checkpoint last")
    if checkpoint != INITIAL and not weights.is_file():
        raise RunError(f"checkpoints/{weights.name} is not there; it may have been removed to save space")
    return record


def read_evaluations(run: RunFolder) -> dict[str, EvaluationEntry]:
    """Return the results kept beside a run, by `Evaluation.key`. Raises `UserError` if their file is damaged."""
    content, where = read_json(run.evaluations_file) or {}, shown(run.evaluations_file)
    return {key: read_object(EvaluationEntry, entry, where, f"{key}.") for key, entry in content.items()}


def keep(evaluation: Evaluation, entry: EvaluationEntry, predictions: "SavedPredictions | None" = None) -> None:
    """Keep a result in the run's `evaluations.json`; an earlier one of the same evaluation is replaced.

    Predictions are kept in a file of their own. Those of the run's own test are not replaced, unless they are damaged.

    Raises:
        SaveError: the run has changed since, the file is damaged, or the folder cannot be written.
    """
    run = evaluation.run
    try:
        with Lock(run.path).guard:  # nobody can begin to train now, and one evaluation at a time adds its entry
            if owner_of(run.path) is not None or run.record() != evaluation.record:
                raise SaveError("the run was trained again meanwhile")
            entries = {**read_evaluations(run), evaluation.key: entry}
            if predictions is not None:
                _keep_predictions(evaluation, predictions)
            write_json(run.evaluations_file, {key: kept.to_json() for key, kept in entries.items()})
    except (OSError, UserError) as error:
        raise SaveError(str(error)) from error


def _keep_predictions(evaluation: Evaluation, predictions: "SavedPredictions") -> None:
    from attnbench.runs.predictions import read_predictions

    path = evaluation.predictions
    if evaluation.settings or readable(lambda: read_predictions(path), None) is None:
        predictions.write(path)
