"""Evaluations of a finished run: what is to be tested, and the file that keeps the results beside the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import read_json, write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock, owner_of

CHECKPOINTS = ("last", "best")
RESPONSES = "responses"
Entry = dict[str, Any]


class SaveError(Exception):
    """A result could not be kept beside the run; the message says why."""


@dataclass(frozen=True)
class Evaluation:
    """A finished run to be tested.

    record: what the run recorded. config: the run's, under the settings, by dotted key, in which it differs from the
    run's own. responses: whether those of the stages are measured too.
    """

    run: RunFolder
    record: dict[str, Any]
    checkpoint: str
    config: RunConfig
    settings: dict[str, Any]
    responses: bool = False

    @property
    def key(self) -> str:
        """What tells this evaluation of a run from others."""
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
    def epoch(self) -> int:
        """The epoch, counted from 1, after which the checkpoint was written."""
        return int(self.record["best_epoch" if self.checkpoint == "best" else "epochs"])

    @property
    def recorded_accuracy(self) -> float:
        """Top-1 accuracy that the run's own test gave for this checkpoint."""
        return float(self.record["test/best/top1_accuracy" if self.checkpoint == "best" else "test/top1_accuracy"])


def settle(
    run: RunFolder, checkpoint: str, composer: Composer, overrides: Sequence[str], responses: bool = False
) -> Evaluation:
    """What an evaluation of a run under overrides is. Raises `UserError` if the run or the overrides do not allow it.

    It runs in one process on one device, on however many the run was trained.
    """
    record = finished_record(run, checkpoint)
    values = {**record["config"], "trainer": {**record["config"]["trainer"], "devices": 1}}
    config, settings = recompose(composer, record["choices"], values, overrides)
    if config["trainer"]["devices"] != 1:
        raise UserError(f"trainer.devices={config['trainer']['devices']}: an evaluation runs on one device")
    return Evaluation(run, record, checkpoint, config, settings, responses)


def finished_record(run: RunFolder, checkpoint: str) -> dict[str, Any]:
    """The record of a run that is finished and has the checkpoint. Raises `UserError`."""
    state, record = run.state(), run.record()
    weights = run.best_checkpoint if checkpoint == "best" else run.last_checkpoint
    if state == "running":
        raise UserError("the run is being trained; wait until it is finished")
    if record is None or state != "finished":
        if run.last_checkpoint.is_file():
            raise UserError(
                f"the run is {state} after {run.epochs()} epochs; finish it first: train it again, it goes on"
            )
        raise UserError(f"the run is {state} and has no checkpoint; train it first")
    if checkpoint == "best" and record.get("best_epoch") is None:
        raise UserError("the run has no best checkpoint, as it held out no validation images; --checkpoint last")
    if not weights.is_file():
        raise UserError(f"checkpoints/{weights.name} is not there; it may have been removed to save space")
    return record


def keep(evaluation: Evaluation, entry: Entry) -> None:
    """Keep a result in the run's `evaluations.json`; an earlier one of the same evaluation is replaced.

    Raises `SaveError` if the run is no more the one that was evaluated, or its folder cannot be written.
    """
    run = evaluation.run
    try:
        with Lock(run.path).guard:  # nobody can begin to train now, and one evaluation at a time adds its entry
            if owner_of(run.path) is not None or run.record() != evaluation.record:
                raise SaveError("the run was trained anew meanwhile")
            kept = read_json(run.evaluations_file)
            if kept is None and run.evaluations_file.exists():
                raise SaveError(f"{run.evaluations_file.name} is damaged; move it away")
            write_json(run.evaluations_file, {**(kept or {}), evaluation.key: entry})
    except OSError as error:
        raise SaveError(str(error)) from error


def difference(entry: Entry) -> float:
    """By how much an evaluation's top-1 accuracy is above the recorded one."""
    return float(entry["test/top1_accuracy"] - entry["recorded/top1_accuracy"])
