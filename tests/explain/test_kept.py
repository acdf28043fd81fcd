"""Explanations in files: what is read again is what was written."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attnbench.config.compose import compose
from attnbench.data.loaders.chosen import denormalised
from attnbench.errors import UserError
from attnbench.explain import explain
from attnbench.explain.explanation import Explanation
from attnbench.explain.kept import Images, read_found, write_found
from attnbench.explain.measure import faithfulness
from attnbench.explain.panels import array
from attnbench.explain.scored_run import Found, require_finite
from attnbench.training.experiment import Experiment
from tests.explain.networks import images, network

LABELS = np.array([0, 1, 2])
BOXES = np.array([[6, 3, 12, 24], [np.nan] * 4, [0, 0, 24, 24]], np.float32)
DATA = Experiment(compose(["data=cluttered_digits"])).data
CHOSEN = Images(images(), array(denormalised(images(), DATA)), ("7", "8", "11"), LABELS, BOXES)


def found(*overrides: str) -> Found:
    net = network(*overrides)
    explanation = explain(net, CHOSEN.images, labels=LABELS, boxes=BOXES, names=CHOSEN.names, target="true", name="net")
    return Found(explanation, faithfulness(net, explanation))


def require_equal(first: object, second: object) -> None:
    if isinstance(first, np.ndarray | torch.Tensor):
        assert np.array_equal(np.asarray(first), np.asarray(second), equal_nan=True)
        assert first.dtype == second.dtype  # type: ignore[attr-defined]
    else:
        assert first == second


@pytest.mark.parametrize("overrides", [("attention=gated",), ("attention=none",)])
def test_maps_bars_texts_and_scores_come_back(overrides: tuple[str, ...], own_folder: Path) -> None:
    written = found(*overrides)
    write_found(own_folder / "maps.npz", written)
    read = read_found(own_folder / "maps.npz", CHOSEN, "net")
    for part in fields(Explanation):
        if part.name not in ("panels", "pictures", "raw"):  # pictures are made of the images by the data set
            require_equal(getattr(written.explanation, part.name), getattr(read.explanation, part.name))
    assert len(written.explanation.panels) == len(read.explanation.panels)
    for panel, other in zip(written.explanation.panels, read.explanation.panels, strict=True):
        for part in fields(panel):
            require_equal(getattr(panel, part.name), getattr(other, part.name))
    for kept, again in ((written.explanation.raw, read.explanation.raw), *zip(*_rows(written, read), strict=True)):
        assert list(kept) == list(again)
        for key in kept:
            require_equal(kept[key], again[key])
    assert list(written.scores) == list(read.scores)


def _rows(*several: Found) -> list[list[dict[str, np.ndarray]]]:
    return [[dict(row) for row in found.scores.values()] for found in several]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"{}"])
def test_a_damaged_file_is_one_line(content: bytes | None, own_folder: Path) -> None:
    file = own_folder / "job" / "maps.npz"
    if content is not None:
        file.parent.mkdir()
        file.write_bytes(content)
    with pytest.raises(UserError, match="job: damaged: it holds no explanation"):
        read_found(file, CHOSEN, "net")


def test_maps_that_are_not_finite_are_named() -> None:
    whole = found("attention=none").explanation
    require_finite(whole)
    first = replace(whole.panels[0], values=np.full_like(whole.panels[0].values, np.nan))
    with pytest.raises(UserError, match=f"net: {first.name} holds values that are not finite"):
        require_finite(replace(whole, panels=(first, *whole.panels[1:])))
