"""Summaries of runs' test predictions, and the file in which they travel with an archived table.

The file `per_class.json.gz` is small enough for git. A table of many classes is archived without confusions, which
then are shown only where the runs are at hand.
"""

import gzip
import logging
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from attnbench.runs.files import damaged, parse_object, read_bytes, readable, shown, to_text, write_atomically
from attnbench.runs.json_objects import JsonObject, read_object
from attnbench.runs.predictions import Predictions
from attnbench.tables.results.per_class import calibration_error, confusion_matrix

SUMMARY_FILE = "per_class.json.gz"
MOST_BYTES = 50_000
"""Of an archived table's file."""
logger = logging.getLogger("attnbench")


@dataclass(frozen=True, kw_only=True)
class RunSummary(JsonObject):
    """Summary of one run's test predictions; lists are in the order of the classes.

    Attributes:
        classes: names of the classes.
        images: number of test images of each class.
        correct: how many of them are classified correctly.
        calibration_error: expected calibration error; None for a run that diverged.
        confusion: number of images by true and predicted class; None where it was too large to be archived.
        against: by the other run's name, how many images only this run, and only the other, classifies correctly.
    """

    classes: list[str]
    images: list[int]
    correct: list[int]
    calibration_error: float | None
    confusion: list[list[int]] | None = None
    against: dict[str, tuple[int, int]] = field(default_factory=dict)


def summarise_predictions(predictions: Predictions) -> RunSummary:
    """Summarise one run's predictions."""
    confusion, error = confusion_matrix(predictions), calibration_error(predictions)
    return RunSummary(
        classes=list(predictions.classes),
        images=confusion.sum(1).tolist(),
        correct=confusion.diagonal().tolist(),
        calibration_error=None if math.isnan(error) else error,
        confusion=confusion.tolist(),
    )


def write_summaries(folder: Path, summaries: Mapping[str, RunSummary]) -> None:
    """Write the summaries of an archived table's runs, without confusions if the file would be too large.

    Without summaries an earlier file is left as it is.
    """
    if not summaries:
        return
    content = _compressed(summaries)
    if len(content) > MOST_BYTES:
        logger.info(
            "%s: without confusions, which would take %d kB", shown(folder / SUMMARY_FILE), len(content) // 1000
        )
        content = _compressed({name: replace(one, confusion=None) for name, one in summaries.items()})
    write_atomically(folder / SUMMARY_FILE, content)


def _compressed(summaries: Mapping[str, RunSummary]) -> bytes:
    text = to_text({name: one.to_json() for name, one in sorted(summaries.items())})
    return gzip.compress(text.encode(), mtime=0)


def read_summaries(folder: Path) -> dict[str, RunSummary]:
    """Return the summaries in an archived table's folder, by the runs' names; empty if there is no file.

    For a damaged file a warning is logged, and the result is empty too.
    """
    return readable(lambda: _read(folder / SUMMARY_FILE), {})


def _read(path: Path) -> dict[str, RunSummary]:
    """Return the summaries in a file; empty if there is none. Raises `UserError` if it is damaged."""
    where = shown(path)
    try:
        packed = read_bytes(path)
        if packed is None:
            return {}
        text = gzip.decompress(packed).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise damaged(where, f"it is no compressed text ({type(error).__name__})") from None
    content = parse_object(text, where)
    return {name: read_object(RunSummary, one, where, f"{name}.") for name, one in content.items()}
