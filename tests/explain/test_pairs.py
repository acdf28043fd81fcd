"""Every attention on every kind of backbone is explained and drawn, or says what it cannot show."""

import numpy as np
import pytest

from attnbench.explain import draw, explain
from attnbench.explain.explanation import Explanation
from tests.attention.pairs import Pair, build, chosen
from tests.explain.networks import images

QUICK = {("bam", "resnet bottleneck"), ("gated", "densenet"), ("ggam", "vgg"), ("residual", "preact basic")}
"""One pair of each paper's method, on networks of different kinds."""
ONE_SIZE = {"cluttered mnist cnn": (32, 32)}
PAIRS = list(dict.fromkeys([*sorted(QUICK), *chosen()]))


def titles(found: Explanation) -> str:
    return " ".join(text.get_text() for text in draw(found).texts)


@pytest.mark.parametrize(
    "pair",
    [pytest.param(pair, id=" on ".join(pair), marks=[] if pair in QUICK else pytest.mark.slow) for pair in PAIRS],
)
def test_every_pair_is_explained_and_drawn(pair: Pair) -> None:
    net = build(*pair).eval()
    height, width = ONE_SIZE.get(pair[1], (32, 48))
    found = explain(net, images(2, 3, height, width), target="3")
    assert found.cams
    for panel in found.panels:
        assert len(panel.values) == 2
        assert np.isfinite(panel.values).all(), panel.name
    for cam in found.cams:
        assert cam.values.shape[1] <= cam.values.shape[2] == cam.values.shape[1] * width // height
    has_maps = bool(net.maps(net.output(images(2, 3, height, width))))
    assert bool(len(found.panels) > len(found.cams)) == has_maps
    assert ("the attention has no maps" in titles(found)) != has_maps
    assert not net.training
    assert all(parameter.requires_grad and parameter.grad is None for parameter in net.parameters())
