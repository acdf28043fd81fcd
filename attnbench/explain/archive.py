"""Files of explanations: raw maps and the scores of images; and the means that are kept beside the record."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Floats
from attnbench.runs.arrays import packed
from attnbench.runs.explanation_entry import Mean
from attnbench.runs.files import write_all
from attnbench.tables.verdicts.statistics import summarise, wilson

LEVEL = 0.95
"""Of confidence intervals."""


def mean_of(scores: Floats, labels: Sequence[int] | None = None) -> Mean:
    """Return the mean of scores (N,), NaN left out, and its interval.

    It is Wilson's where all scores are 0 or 1, else Student's t.
    """
    there = np.isfinite(scores)
    values = scores[there].astype(np.float64)
    summary = summarise(values.tolist(), level=LEVEL)
    value, low, high = (summary.mean, summary.low, summary.high) if summary else (None, None, None)
    if len(values) > 1 and np.isin(values, (0, 1)).all():
        low, high = wilson(int(values.sum()), len(values), LEVEL)
    by_class = None
    if labels is not None and len(values) and min(labels) >= 0:
        given = np.asarray(labels)[there]
        by_class = float(np.mean([values[given == label].mean() for label in np.unique(given)]))
    return Mean(value, low, high, len(values), by_class)


Scores = Mapping[str, Mapping[str, Floats]]
"""Scores (N,) of the images by map and measure."""


def write_maps(path: Path, found: Explanation) -> None:
    """Write the maps of an explanation (see `arrays_of`): `numpy.load` reads them without this package."""
    write_all({path: packed(arrays_of(found))})


def arrays_of(found: Explanation) -> dict[str, Any]:
    """Return the maps of an explanation as arrays, all float32 where they are numbers.

    They are `panel/NAME` (N, h, w) or (N, K), as drawn but not scaled; `compared/NAME`, a second series; `map/NAME`
    (n, K, h, w), the attention's whole maps of the first n images; and `image`, `label`, `predicted`, `probability`,
    `target`, `classes`, `boxes`.
    """
    arrays: dict[str, Any] = {f"panel/{panel.name}": panel.values for panel in found.panels}
    arrays |= {f"compared/{panel.name}": panel.compared for panel in found.panels if panel.compared is not None}
    arrays |= {f"map/{name}": values for name, values in found.raw.items()}
    if found.boxes is not None:
        arrays["boxes"] = found.boxes.astype(np.float32)
    return arrays | {
        "image": np.array(found.names),
        "label": found.labels,
        "predicted": found.predicted,
        "probability": found.probability.astype(np.float32),
        "target": found.targets,
        "classes": np.array(found.classes),
    }


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
    write_all({path: text.getvalue()})


def _number(values: Floats | None, index: int) -> str:
    return "" if values is None or not np.isfinite(values[index]) else f"{values[index]:.6g}"


def summarised(scores: Scores, labels: Sequence[int]) -> dict[str, dict[str, Mean]]:
    """Return the means of scores by map and measure, as they are kept."""
    return {key: {name: mean_of(values, labels) for name, values in row.items()} for key, row in scores.items()}
