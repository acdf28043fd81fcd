"""Random erasing against torchvision's, cutout against its authors' code."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from attnbench.data.transforms.erasing import Erasing, ErasingOptions

HEIGHT, WIDTH, CPU = 24, 32, torch.device("cpu")


def draw(count: int, probability: float = 0.0, area: tuple[float, float] = (0.02, 0.33), fill: str = "mean",
         cutout: int = 0) -> Erasing:  # fmt: skip
    return Erasing(ErasingOptions(probability, list(area), fill, cutout), count, HEIGHT, WIDTH, 5, CPU)


@pytest.mark.parametrize("area", [(0.02, 0.33), (0.5, 0.9)])
def test_boxes_have_torchvisions_distribution(area: tuple[float, float]) -> None:
    reference, image = v2.RandomErasing(p=1.0, scale=area), torch.zeros(3, HEIGHT, WIDTH)
    theirs = [reference.make_params([image]) for _ in range(1500)]
    found = draw(1500, 1.0, area).boxes
    assert found is not None
    top, bottom, left, right = found.numpy().T
    erased = bottom > top
    fitted = [params for params in theirs if params["v"] is not None]
    assert stats.fisher_exact([[erased.sum(), len(fitted)], [1500 - erased.sum(), 1500 - len(fitted)]]).pvalue > 0.01
    for ours, key in ((top, "i"), (left, "j"), (bottom - top, "h"), (right - left, "w")):
        assert stats.ks_2samp(ours[erased], [params[key] for params in fitted]).pvalue > 0.01
    assert (bottom <= HEIGHT).all()
    assert (right <= WIDTH).all()


def test_the_probability_is_that_of_an_image() -> None:
    found = draw(4000, 0.25).boxes
    assert found is not None
    assert stats.binomtest(int((found[:, 1] > 0).sum()), 4000, 0.25).pvalue > 0.01


@pytest.mark.parametrize("length", [7, 16])
def test_cutout_is_its_authors(length: int) -> None:
    """uoguelph-mlrg/Cutout, util/cutout.py: the square around a pixel, clipped; filled with 0 after normalisation."""
    found = draw(4000, cutout=length).squares
    assert found is not None
    rows, columns = np.random.default_rng(1).integers([HEIGHT, WIDTH], size=(4000, 2)).T
    half = length // 2
    for place, (centers, size) in enumerate(((rows, HEIGHT), (columns, WIDTH))):
        low, high = np.clip(centers - half, 0, size), np.clip(centers + half, 0, size)
        assert stats.ks_2samp(found[:, 2 * place].numpy(), low).pvalue > 0.01
        assert stats.ks_2samp((found[:, 2 * place + 1] - found[:, 2 * place]).numpy(), high - low).pvalue > 0.01


def test_only_the_boxes_are_erased() -> None:
    erasing, mine = draw(30, 0.5, cutout=6), slice(2, 30, 4)
    images = torch.randn(7, 3, HEIGHT, WIDTH)
    expected = images.clone()
    assert erasing.boxes is not None
    assert erasing.squares is not None
    for place, number in enumerate(range(2, 30, 4)):
        for edges in (erasing.boxes, erasing.squares):
            top, bottom, left, right = edges[number].tolist()
            expected[place, :, top:bottom, left:right] = 0
    assert torch.equal(erasing.erase(images, mine), expected)


def test_noise_is_normal_and_depends_on_the_batch_only() -> None:
    found = [draw(60, 1.0, (0.3, 0.33), "noise").erase(torch.full((30, 3, HEIGHT, WIDTH), 9.0), slice(s, s + 30))
             for s in (0, 0, 30)]  # fmt: skip
    noise = found[0][found[0] != 9]
    assert 0.25 < len(noise) / found[0].numel() < 0.36
    assert stats.kstest(noise[:4000].numpy(), "norm").pvalue > 0.01
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
