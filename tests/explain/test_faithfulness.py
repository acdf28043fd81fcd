"""Insertion, deletion, confidence, ROAD and randomised weights, on a network whose evidence is known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone, Slot, Taps
from attnbench.classifier import Classifier
from attnbench.explain.faithfulness import (
    STEPS,
    confidence_change,
    insertion_deletion,
    randomised,
    ranks,
    sanity,
    similarity,
)
from attnbench.explain.road import impute, road
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


@pytest.mark.parametrize(
    ("value", "shown", "drop", "increase"),
    [
        (1, "corner", 0.0, 0),
        (1, "everything", 0.0, 0),
        (1, "the rest", 0.5, 0),  # logits of 0 and 0 instead of 16 and 0
        (1, "nothing", 0.5, 0),
        (-1, "corner", 0.0, 0),
        (-1, "the rest", 0.0, 1),
    ],
)
def test_confidence_changes_by_what_a_map_hides(value: int, shown: str, drop: float, increase: int) -> None:
    net, image = Classifier(Corner(), Attention()), torch.full((1, 1, 8, 8), float(value))
    corner = np.zeros((1, 8, 8), np.float32)
    corner[0, :4, :4] = 1
    maps = {"corner": corner, "everything": np.ones_like(corner), "the rest": 1 - corner, "nothing": 0 * corner}
    found = confidence_change(net, image, np.zeros(1, np.int64), 3 * maps[shown])  # its scale does not matter
    assert found["average_drop"][0] == pytest.approx(drop, abs=1e-6)
    assert found["increase_in_confidence"][0] == increase


def test_removed_pixels_are_weighted_means_of_their_neighbours() -> None:
    image = torch.arange(9.0).reshape(1, 3, 3) ** 2
    removed = np.zeros((3, 3), np.bool_)
    removed[1, 1] = True
    found = impute(image, removed)
    assert found[0, 1, 1].item() == pytest.approx((1 + 9 + 25 + 49) / 6 + (0 + 4 + 36 + 64) / 12)
    assert torch.equal(found[0][~torch.from_numpy(removed)], image[0][~torch.from_numpy(removed)])
    removed = np.zeros((3, 3), np.bool_)
    removed[0, 0] = True  # at the border, of the neighbours that there are
    assert impute(image, removed)[0, 0, 0].item() == pytest.approx((1 / 6 + 9 / 6 + 16 / 12) / (5 / 12))


def test_road_of_a_linear_score() -> None:
    net, image = Classifier(Corner(), Attention()), torch.zeros(1, 1, 8, 8)
    image[:, :, :4, :4] = 1
    target, corner = np.zeros(1, np.int64), image[0].numpy()
    good, bad = road(net, image, target, corner), road(net, image, target, 1 - corner)
    # of the 64 pixels 6 are removed, then 19, 32, 45, 58: the corner's 16 are filled from their own, then from black
    assert good["road_morf"][0] == pytest.approx((1 + 4 * 0.5) / 5, abs=0.01)
    assert good["road_lerf"][0] == pytest.approx(1, abs=0.01)
    assert bad["road_morf"][0] > 0.9
    assert bad["road_lerf"][0] < 0.7
    white = road(net, torch.ones(1, 1, 8, 8), target, corner)  # nothing changes, whatever is removed
    assert white["road_morf"][0] == pytest.approx(1, abs=1e-4)


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


@pytest.mark.parametrize("words", [["attention=bam", "attention.reduction=2"], ["attention=ggam"], ["attention=sk"]])
def test_maps_of_one_image_are_compared_too(words: list[str]) -> None:
    """The batch normalisation of a vector (B, C) has no moments of a batch of one."""
    net = network(*words)
    maps = np.random.default_rng(0).random((1, 6, 6), np.float32)
    found = sanity(net, images(1), [0], "final", "gradcam", maps)
    assert found.shape == (1,)
    assert np.isfinite(found).all()
