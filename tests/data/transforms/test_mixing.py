"""Mixup and CutMix: draws against their distributions and torchvision's, pixels and targets against loops."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from attnbench.data.transforms.mixing import Mixing, MixingOptions

HEIGHT, WIDTH, CPU = 24, 32, torch.device("cpu")


def draw(count: int, mixup: float = 0.0, cutmix: float = 0.0, probability: float = 1.0, switch: float = 0.5) -> Mixing:
    return Mixing(MixingOptions(mixup, cutmix, probability, switch), count, HEIGHT, WIDTH, 3, CPU)


def is_cut(mixing: Mixing) -> torch.Tensor:
    return mixing.weight == 1


@pytest.mark.parametrize("parameter", [0.2, 1.0])
def test_mixups_weights_are_beta(parameter: float) -> None:
    found = draw(4000, mixup=parameter)
    assert stats.kstest(found.weight.numpy(), stats.beta(parameter, parameter).cdf).pvalue > 0.01
    assert torch.equal(found.weight, found.share)
    assert found.edges.unique(dim=0).tolist() == [[0, HEIGHT, 0, WIDTH]]


@pytest.mark.parametrize("parameter", [0.3, 1.0])
def test_cutmix_boxes_have_torchvisions_distribution(parameter: float) -> None:
    reference = v2.CutMix(alpha=parameter, num_classes=10)
    images = [torch.zeros(1, 3, HEIGHT, WIDTH)]
    theirs = [reference.make_params(images) for _ in range(1500)]
    found = draw(1500, cutmix=parameter)
    top, bottom, left, right = found.edges.T
    lefts, tops, rights, bottoms = np.array([params["box"] for params in theirs]).T
    pairs = [(found.share, [1 - params["lam_adjusted"] for params in theirs]), (left, lefts), (top, tops),
             (right - left, rights - lefts), (bottom - top, bottoms - tops)]  # fmt: skip
    for ours, reference_values in pairs:
        assert stats.ks_2samp(ours.numpy(), np.array(reference_values)).pvalue > 0.01
    assert torch.allclose(found.share, (bottom - top) * (right - left) / (HEIGHT * WIDTH))


def test_each_image_draws_whether_and_how_it_is_mixed() -> None:
    found = draw(4000, mixup=1.0, cutmix=1.0, probability=0.6, switch=0.25)
    mixed, cut = (found.weight > 0), is_cut(found)
    assert stats.binomtest(int(mixed.sum()), 4000, 0.6).pvalue > 0.01
    assert stats.binomtest(int(cut.sum()), int(mixed.sum()), 0.25).pvalue > 0.01
    assert (found.share[~mixed] == 0).all()


@pytest.mark.parametrize("channels_last", [False, True])
def test_pixels_and_targets_are_those_of_a_loop(channels_last: bool) -> None:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    images = torch.randn(9, 3, HEIGHT, WIDTH).contiguous(memory_format=layout)
    labels = torch.randint(5, (9,))
    targets = torch.nn.functional.one_hot(labels, 5).float()
    mixing, mine = draw(40, mixup=0.4, cutmix=1.0, probability=0.8), slice(3, 30, 3)
    mixed, mixed_targets = mixing.images(images, mine), mixing.targets(targets, mine)
    assert mixed.is_contiguous(memory_format=layout)
    kinds = set()
    for place, number in enumerate(range(3, 30, 3)):
        top, bottom, left, right = mixing.edges[number].tolist()
        weight, share = mixing.weight[number], mixing.share[number]
        expected = images[place].clone()
        part = slice(None), slice(top, bottom), slice(left, right)
        expected[part] = (1 - weight) * expected[part] + weight * images[place - 1][part]
        assert torch.allclose(mixed[place], expected, atol=1e-6)
        assert torch.allclose(mixed_targets[place], (1 - share) * targets[place] + share * targets[place - 1])
        kinds.add((bool(weight == 1), bool(weight > 0)))
        dominant = labels[place - 1] if share > 0.5 else labels[place]
        assert mixing.dominant(labels, mine)[place] == dominant
    assert len(kinds) == 3  # neither, mixup and CutMix


def test_draws_depend_on_the_seed_only() -> None:
    options = MixingOptions(1.0, 1.0, 1.0, 0.5)
    first, again, other = (Mixing(options, 50, HEIGHT, WIDTH, seed, CPU) for seed in (0, 0, 1))
    assert torch.equal(first.edges, again.edges)
    assert torch.equal(first.weight, again.weight)
    assert not torch.equal(first.weight, other.weight)
