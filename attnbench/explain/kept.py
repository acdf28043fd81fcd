"""An explanation in a file: what the network gave. Images, names and boxes are read again from the data."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.chosen import ChosenImages, denormalised
from attnbench.explain.archive import arrays_of
from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Floats, Panel, array
from attnbench.explain.scored_run import Found
from attnbench.runs.arrays import packed
from attnbench.runs.files import damaged, shown, write_all
from attnbench.runs.predictions import UNREADABLE

TEXTS = ("name", "title", "unit", "captions", "labels", "scored")
"""Fields of a panel that are no arrays."""


def write_found(path: Path, found: Found) -> None:
    """Write an explanation and its scores: the arrays of its maps, and as `score/MEASURE/MAP` the scores (N,)."""
    explanation, scores = found
    texts = [{name: getattr(panel, name) for name in TEXTS} for panel in explanation.panels]
    arrays = arrays_of(explanation) | {"panels": np.array(json.dumps(texts))}
    arrays |= {f"score/{measure}/{name}": values for name, row in scores.items() for measure, values in row.items()}
    write_all({path: packed(arrays)})


def read_found(path: Path, chosen: ChosenImages, data: DataSet, name: str) -> Found:
    """Read what `write_found` wrote.

    Args:
        path: of the file.
        chosen: the images that were explained.
        data: the data set that they are of.
        name: of the network.

    Raises:
        UserError: the file is damaged, or not there.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            arrays = dict(content)
        panels = tuple(_panel(text, arrays) for text in json.loads(str(arrays["panels"])))
        explanation = Explanation(
            name=name,
            images=chosen.images,
            pictures=array(denormalised(chosen.images, data)),
            names=chosen.names,
            labels=chosen.labels,
            boxes=chosen.boxes,
            predicted=arrays["predicted"],
            probability=arrays["probability"],
            targets=arrays["target"],
            classes=tuple(arrays["classes"].tolist()),
            panels=panels,
            raw={key.removeprefix("map/"): values for key, values in arrays.items() if key.startswith("map/")},
        )
    except (KeyError, *UNREADABLE) as error:
        raise damaged(shown(path.parent), f"it holds no explanation ({type(error).__name__})") from None
    return Found(explanation, _scores(arrays))


def _panel(text: dict[str, Any], arrays: dict[str, Any]) -> Panel:
    lists = {key: tuple(text[key]) for key in ("captions", "labels")}
    values, compared = arrays[f"panel/{text['name']}"], arrays.get(f"compared/{text['name']}")
    return Panel(**{**text, **lists}, values=values, compared=compared)


def _scores(arrays: dict[str, Any]) -> dict[str, dict[str, Floats]]:
    scores: dict[str, dict[str, Floats]] = {}
    for key, values in arrays.items():
        if key.startswith("score/"):
            _, measure, name = key.split("/", 2)
            scores.setdefault(name, {})[measure] = values
    return scores
