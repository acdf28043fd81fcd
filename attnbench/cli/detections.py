"""What `attnbench predict` shows of a detector: the objects that it finds in image files."""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cli.output import print_message
from attnbench.errors import UserError
from attnbench.runs.files import shown

if TYPE_CHECKING:
    from attnbench.detection.predict import Detection
    from attnbench.detection.trained_run import DetectorRun
    from attnbench.runs.evaluations import Evaluation

    Detections = dict[Path, list[Detection]]

DETECTION = "detection"
"""Name of the task."""
EDGES = ("left", "top", "right", "bottom")


def show_detections(evaluation: "Evaluation", arguments: argparse.Namespace) -> bool:
    """Print what a detector finds in files; return whether one of them cannot be read. Raises `UserError`."""
    if arguments.maps is not None:
        raise UserError("--maps: is for networks that classify images; attnbench explain draws a detector's maps")

    from attnbench.detection.predict import detect_files
    from attnbench.detection.trained_run import DetectorRun

    run, found, failed = DetectorRun(evaluation), {}, False
    for path, detections in detect_files(run, arguments.files, arguments.top):
        if isinstance(detections, UserError):
            print_message(str(detections))
            failed = True
        else:
            found[path] = detections
    show(found, run, arguments.format)
    return failed


def show(found: "Detections", run: "DetectorRun", format_name: str) -> None:
    """Print detections as a table, JSON or CSV."""
    if format_name == "json":
        rows = [{"file": str(path), "detections": [each.to_json() for each in own]} for path, own in found.items()]
        print(json.dumps({"run": shown(run.folder), "checkpoint": run.checkpoint, "predictions": rows}, indent=2))
    elif format_name == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "rank", "class", "score", *EDGES))
        writer.writerows((path, rank, each.name, each.score, *each.box) for path, rank, each in _ranked(found))
    elif found:
        _print_table(found)


def _ranked(found: "Detections") -> "Iterator[tuple[str, int, Detection]]":
    return ((str(path), rank, each) for path, own in found.items() for rank, each in enumerate(own, 1))


def _print_table(found: "Detections") -> None:
    from attnbench.console import make_console, make_table

    table = make_table(caption="scores in %; edges of boxes in pixels")
    table.add_column("file", overflow="fold")
    table.add_column("class", overflow="fold")
    for name in ("%", *EDGES):
        table.add_column(name, justify="right", no_wrap=True)
    for path, own in found.items():
        rows: list[tuple[Any, ...]] = [
            (each.name, f"{100 * each.score:.1f}", *map("{:.1f}".format, each.box)) for each in own
        ]
        for rank, row in enumerate(rows or [("nothing",)]):
            table.add_row("" if rank else str(path), *row)
    make_console().print(table)
