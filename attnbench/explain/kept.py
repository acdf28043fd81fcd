"""An explanation in a file: what the network gave. Images, names and boxes are read again from the data."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from attnbench.explain.archive import arrays_of
from attnbench.explain.explanation import Explanation
from attnbench.explain.panels import Floats, Mark, Panel
from attnbench.explain.scored_run import Found
from attnbench.runs.arrays import packed
from attnbench.runs.files import damaged, shown, write_all
from attnbench.runs.predictions import UNREADABLE

TEXTS = ("name", "title", "unit", "captions", "labels", "scored")
"""Fields of a panel that are no arrays."""


class Images(NamedTuple):
    """The images of an explanation; attributes as of `Explanation`."""

    images: Tensor
    pictures: Floats
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    boxes: Floats | None


def write_found(path: Path, found: Found) -> None:
    """Write an explanation and its scores: the arrays of its maps, and as `score/MEASURE/MAP` the scores (N,).

    What is detected is `mark/box` (K, 4), of the images `mark/image` (K,).
    """
    explanation, scores = found
    texts = [{name: getattr(panel, name) for name in TEXTS} for panel in explanation.panels]
    arrays = arrays_of(explanation) | {"panels": np.array(json.dumps(texts))}
    arrays |= {f"score/{measure}/{name}": values for name, row in scores.items() for measure, values in row.items()}
    write_all({path: packed(arrays | _marks(explanation.detected))})


def read_found(path: Path, chosen: Images, name: str) -> Found:
    """Read what `write_found` wrote.

    Args:
        path: of the file.
        chosen: the images that were explained.
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
            **chosen._asdict(),
            predicted=arrays["predicted"],
            probability=arrays["probability"],
            targets=arrays["target"],
            classes=tuple(arrays["classes"].tolist()),
            panels=panels,
            raw={key.removeprefix("map/"): values for key, values in arrays.items() if key.startswith("map/")},
            detected=_detected(arrays, len(chosen.names)),
        )
    except (KeyError, *UNREADABLE) as error:
        raise damaged(shown(path.parent), f"it holds no explanation ({type(error).__name__})") from None
    return Found(explanation, _scores(arrays))


def _panel(text: dict[str, Any], arrays: dict[str, Any]) -> Panel:
    lists = {key: tuple(text[key]) for key in ("captions", "labels")}
    values, compared = arrays[f"panel/{text['name']}"], arrays.get(f"compared/{text['name']}")
    return Panel(**{**text, **lists}, values=values, compared=compared)


def _marks(detected: tuple[tuple[Mark, ...], ...]) -> dict[str, Any]:
    pairs = [(index, mark) for index, marks in enumerate(detected) for mark in marks]
    return {
        "mark/box": np.array([mark.box for _, mark in pairs], np.float32).reshape(-1, 4),
        "mark/image": np.array([index for index, _ in pairs], np.int64),
        "marks": np.array(json.dumps([(mark.colour, mark.words) for _, mark in pairs])),
    }


def _detected(arrays: dict[str, Any], images: int) -> tuple[tuple[Mark, ...], ...]:
    found: list[list[Mark]] = [[] for _ in range(images)]
    looks = json.loads(str(arrays["marks"]))
    for index, box, (colour, words) in zip(arrays["mark/image"], arrays["mark/box"], looks, strict=True):
        found[index].append(Mark(box, colour, words))
    return tuple(map(tuple, found)) if looks else ()


def _scores(arrays: dict[str, Any]) -> dict[str, dict[str, Floats]]:
    scores: dict[str, dict[str, Floats]] = {}
    for key, values in arrays.items():
        if key.startswith("score/"):
            _, measure, name = key.split("/", 2)
            scores.setdefault(name, {})[measure] = values
    return scores
