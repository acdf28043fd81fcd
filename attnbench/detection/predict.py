"""Detections of a trained run in image files, for `attnbench predict`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.detection.trained_run import DetectorRun
from attnbench.errors import UserError


@dataclass(frozen=True)
class Detection:
    """One detected object.

    Attributes:
        name: of its class.
        score: how certain it is, up to 1.
        box: left, top, right and bottom edge in pixels of the file's image.
    """

    name: str
    score: float
    box: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the detection as JSON has it."""
        return {"class": self.name, "score": round(self.score, 5), "box": [round(edge, 2) for edge in self.box]}


def detect_files(
    run: DetectorRun, paths: Sequence[Path], most: int
) -> Iterator[tuple[Path, list[Detection] | UserError]]:
    """Yield each file with its detections, the most certain first, or the error if it cannot be read.

    Args:
        run: the trained run.
        paths: image files.
        most: detections of an image.
    """
    for path in paths:
        try:
            found = run.detect(run.read(path))
        except UserError as error:
            yield path, error
            continue
        rows = zip(found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
        yield path, [Detection(run.classes[label], score, tuple(box)) for label, score, box in rows][:most]
