"""Insertion, deletion and randomised weights, on a network whose evidence is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.classifier import Classifier
from attnbench.explain.faithfulness import STEPS, insertion_deletion, randomised, ranks, sanity, similarity
from tests.explain.networks import images, network


class Corner(Backbone):
    """Its class score is the sum of the 4x4 pixels in the top left corner; class 1 has none."""

    stages = ("stage1",)
    bottlenecks = ()
    num_classes = 2

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Module()
        self.stage1.out = Slot(1, stride=1)
        self.classifier = nn.Linear(1, 2)
        self.classifier.weight.data = torch.tensor([[64.0], [0.0]])  # of the mean over 64 pixels
        self.classifier.bias.data.zero_()
        self.register_points()

    def trunk(self, x: Tensor, taps: Taps) -> Tensor:
        mask = torch.zeros(8, 8)
        mask[:4, :4] = 1
        out: Tensor = self.stage1.get_submodule("out")(x * mask, taps)
        return out


def test_curves_of_a_linear_score() -> None:
    net, white = Classifier(Corner(), Attention()), torch.ones(1, 1, 8, 8)
    corner = np.zeros((1, 8, 8), np.float32)
    corner[0, :4, :4] = 1
    target = np.zeros(1, np.int64)
    good, bad = insertion_deletion(net, white, target, corner), insertion_deletion(net, white, target, 1 - corner)
    shares = [round(step * 64 / STEPS) for step in range(STEPS + 1)]
    left = [max(16 - share, 0) for share in shares]  # white pixels in the corner
    curve = torch.tensor(left, dtype=torch.float64).sigmoid()
    assert good["deletion"][0] == pytest.approx(torch.trapezoid(curve).item() / STEPS, rel=1e-5)
    assert bad["deletion"][0] > good["deletion"][0]


def test_ties_have_a_drawn_order_that_is_always_the_same() -> None:
    maps = np.zeros((2, 4, 4), np.float32)
    maps[:, 2, 3] = 1
    order = ranks(maps)
    assert (order == ranks(maps)).all()
    assert (order[:, 2, 3] == 0).all()
    assert sorted(order[0].ravel()) == list(range(16))
    rest = np.delete(order[0].ravel(), 11)
    assert (np.diff(rest) < 0).any()


def test_randomised_weights_are_the_same_values_in_another_order() -> None:
    net = network("attention=bam", "attention.reduction=2")
    before = {key: value.clone() for key, value in net.state_dict().items()}
    other = randomised(net)
    for (name, old), (_, new) in zip(net.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(old.flatten().sort().values, new.flatten().sort().values), name
    assert any(not torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def test_similarity_is_a_rank_correlation() -> None:
    maps = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert similarity(maps, np.exp(maps)) == pytest.approx(1)
    assert similarity(maps, -maps) == pytest.approx(-1)
    assert similarity(maps, np.ones_like(maps)) == 0


def test_sanity_compares_with_the_maps_of_other_weights() -> None:
    net = network("attention=none")
    maps = np.random.default_rng(0).random((2, 6, 6), np.float32)
    found = sanity(net, images(2), [0, 1], "final", "gradcam", maps)
    assert found.shape == (2,)
    assert (np.abs(found) < 1).all()
