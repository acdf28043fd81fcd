"""Files of explanations: raw maps, scores of images, and their means in `explanations.json` beside the record."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Floats
from attnbench.runs.arrays import packed
from attnbench.runs.files import make_folder, read_json, write_atomically, write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.lock import Lock
from attnbench.tables.verdicts.statistics import summarise, wilson

LEVEL = 0.95
"""Of confidence intervals."""


@dataclass(frozen=True)
class Mean:
    """Mean of a score over images, with its interval: it speaks of images, not of training again.

    Attributes:
        value: mean over images.
        low: lower end of the 95 % interval; None for a single image.
        high: upper end.
        n: number of images.
        by_class: mean over classes of the classes' means, as the pointing game is usually reported; None where classes
            are not known.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    by_class: float | None = None


def mean_of(scores: Floats, labels: Sequence[int] | None = None) -> Mean:
    """Return the mean of scores (N,), NaN left out, and its interval.

    It is Wilson's where all scores are 0 or 1, else Student's t.
    """
    there = np.isfinite(scores)
    values = scores[there].astype(np.float64)
    summary = summarise(values.tolist(), level=LEVEL)
    value, low, high = (summary.mean, summary.low, summary.high) if summary else (float("nan"), None, None)
    if len(values) > 1 and np.isin(values, (0, 1)).all():
        low, high = wilson(int(values.sum()), len(values), LEVEL)
    by_class = None
    if labels is not None and min(labels) >= 0:
        given = np.asarray(labels)[there]
        by_class = float(np.mean([values[given == label].mean() for label in np.unique(given)]))
    return Mean(value, low, high, len(values), by_class)


Scores = Mapping[str, Mapping[str, Floats]]
"""Scores (N,) of the images by map and measure."""


def write_maps(path: Path, found: Explanation) -> None:
    """Write the maps of an explanation: `numpy.load` reads them without this package.

    Arrays, all float32 where they are numbers: `panel/NAME` (N, h, w) or (N, K), as drawn but not scaled;
    `compared/NAME`, a second series; `map/NAME` (n, K, h, w), the attention's whole maps of the first n images; and
    `image`, `label`, `predicted`, `probability`, `target`, `classes`, `boxes`.
    """
    arrays: dict[str, Any] = {f"panel/{panel.name}": panel.values for panel in found.panels}
    arrays |= {f"compared/{panel.name}": panel.compared for panel in found.panels if panel.compared is not None}
    arrays |= {f"map/{name}": values for name, values in found.raw.items()}
    if found.boxes is not None:
        arrays["boxes"] = found.boxes.astype(np.float32)
    arrays |= {
        "image": np.array(found.names),
        "label": found.labels,
        "predicted": found.predicted,
        "probability": found.probability.astype(np.float32),
        "target": found.targets,
        "classes": np.array(found.classes),
    }
    make_folder(path.parent)
    write_atomically(path, packed(arrays))


def write_scores(path: Path, found: Explanation, scores: Scores) -> None:
    """Write the scores of each image to a CSV file: a line for each image and map, a column for each measure."""
    measures = list(dict.fromkeys(measure for row in scores.values() for measure in row))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "label", "predicted", "probability", "target", "map", *measures])
    for index, name in enumerate(found.names):
        label = found.labels[index]
        about = [
            name,
            found.classes[label] if label >= 0 else "",
            found.classes[found.predicted[index]],
            f"{found.probability[index]:.4f}",
            found.classes[found.targets[index]],
        ]
        for key, row in scores.items():
            values = (row.get(measure) for measure in measures)
            writer.writerow([*about, key, *(_number(value, index) for value in values)])
    make_folder(path.parent)
    write_atomically(path, text.getvalue())


def _number(values: Floats | None, index: int) -> str:
    return "" if values is None or not np.isfinite(values[index]) else f"{values[index]:.6g}"


def summarised(scores: Scores, labels: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return the means of scores by map and measure, as they are kept."""
    return {key: {name: asdict(mean_of(values, labels)) for name, values in row.items()} for key, row in scores.items()}


def keep_entry(run: RunFolder, key: str, entry: Mapping[str, Any]) -> None:
    """Keep an entry in the run's `explanations.json`; an earlier one of the same key is replaced.

    Raises:
        UserError: the file is damaged, or the folder cannot be locked.
        WriteError: the file cannot be written.
    """
    path = run.explanations_file
    with Lock(run.path).guard:  # one process at a time adds its entry
        write_json(path, {**(read_json(path) or {}), key: dict(entry)})
