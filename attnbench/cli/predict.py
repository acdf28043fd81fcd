"""attnbench predict: what a trained run says of image files."""

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import run_parser, settled, split_location, wants_help
from attnbench.cli.detections import DETECTION, show_detections
from attnbench.cli.help import PREDICT
from attnbench.cli.output import print_message
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, WRONG_INPUT
from attnbench.runs.files import shown

if TYPE_CHECKING:
    from attnbench.export.predict import ImagePrediction
    from attnbench.runs.evaluations import Evaluation
    from attnbench.training.trained_run import TrainedRun

FORMATS = ("terminal", "json", "csv")
MOST = 5
"""Classes, or detections, that are named by default."""


def main(words: Sequence[str]) -> int:
    """Print predictions and return the exit status: a file that cannot be read does not stop the others."""
    if wants_help(words):
        print_help(PREDICT)
        return DONE
    others, location = split_location(words)
    arguments = _parse(others)
    evaluation = settled(arguments, location)

    from attnbench.training.trained_run import task_of

    show_all = show_detections if task_of(evaluation) == DETECTION else show_predictions
    return WRONG_INPUT if show_all(evaluation, arguments) else DONE


def show_predictions(evaluation: "Evaluation", arguments: argparse.Namespace) -> bool:
    """Print what a classifier says of files; return whether one of them cannot be read."""
    from attnbench.training.trained_run import TrainedRun

    run = TrainedRun(evaluation)
    predictions, mistakes = predict(run, arguments.files, arguments.top, arguments.maps, arguments.force)
    for mistake in mistakes:
        print_message(str(mistake))
    show(predictions, run, arguments.format)
    return bool(mistakes)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("predict")
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--top", type=int, default=MOST)
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--format", choices=FORMATS, default="terminal")
    arguments = parser.parse_intermixed_args(words)
    if arguments.top < 1:
        raise UserError(f"--top {arguments.top}: must be at least 1")
    if arguments.maps is None:
        refuse(arguments, ("force",), "replaces maps, and needs --maps")
    return arguments


def predict(
    run: "TrainedRun", files: Sequence[Path], top: int, maps: Path | None, force: bool
) -> "tuple[list[ImagePrediction], list[UserError]]":
    """Predict files and write their maps.

    Args:
        run: the trained run.
        files: image files.
        top: number of classes to name.
        maps: the folder that maps are written to, if any.
        force: replace maps that exist.

    Returns:
        The predictions, and the errors of files that cannot be read.
    """
    from attnbench.export.map_files import map_paths, write_maps
    from attnbench.export.predict import predict_files

    paths = {} if maps is None else map_paths(maps, files, force)
    predictions, mistakes = [], []
    for found in predict_files(run, files, top, maps is not None):
        if isinstance(found, UserError):
            mistakes.append(found)
            continue
        predictions.append(found)
        if maps is not None:
            if not found.maps:
                raise UserError(f"--maps: attention={run.record.choices['attention']} has no maps")
            write_maps(paths[found.path], found)
    return predictions, mistakes


def show(predictions: "Sequence[ImagePrediction]", run: "TrainedRun", format_name: str) -> None:
    """Print predictions as a table, JSON or CSV."""
    if format_name == "json":
        about = {"run": shown(run.folder), "checkpoint": run.checkpoint}
        print(json.dumps({**about, "predictions": [_json(found) for found in predictions]}, indent=2))
    elif format_name == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "rank", "class", "probability"))
        writer.writerows(row for found in predictions for row in _rows(found))
    elif predictions:
        _print_table(predictions)


def _json(found: "ImagePrediction") -> dict[str, Any]:
    pairs = zip(found.classes, found.probabilities, strict=True)
    return {"file": str(found.path), "classes": [{"class": name, "probability": value} for name, value in pairs]}


def _rows(found: "ImagePrediction") -> Iterable[tuple[str, int, str, float]]:
    for rank, (name, value) in enumerate(zip(found.classes, found.probabilities, strict=True), 1):
        yield str(found.path), rank, name, value


def _print_table(predictions: "Sequence[ImagePrediction]") -> None:
    from attnbench.console import make_console, make_table

    table = make_table(caption="probabilities in %")
    table.add_column("file", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("%", justify="right", no_wrap=True)
    for found in predictions:
        for path, rank, name, value in _rows(found):
            table.add_row(path if rank == 1 else "", name, f"{100 * value:.1f}")
    make_console().print(table)
