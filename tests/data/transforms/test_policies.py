"""Draws of augmentation policies against those of torchvision's classes."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from attnbench.data.transforms.policies import OPERATIONS, PolicyOptions, draw_operations

REFERENCES: dict[str, Any] = {
    "randaugment": v2.RandAugment(3, 12),
    "trivialaugment": v2.TrivialAugmentWide(),
    "autoaugment_cifar10": v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10),
    "autoaugment_imagenet": v2.AutoAugment(v2.AutoAugmentPolicy.IMAGENET),
    "autoaugment_svhn": v2.AutoAugment(v2.AutoAugmentPolicy.SVHN),
}
COUNT, HEIGHT, WIDTH = 3000, 24, 32


def theirs(policy: str, monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[str, float], ...]]:
    """Operations and magnitudes that torchvision draws for each of `COUNT` images."""
    drawn: list[list[tuple[str, float]]] = []
    reference = REFERENCES[policy]

    def note(image: torch.Tensor, name: str, magnitude: float, **_: Any) -> torch.Tensor:
        drawn[-1].append((name, 255 * magnitude if name == "Solarize" else magnitude))
        return image

    monkeypatch.setattr(reference, "_apply_image_or_video_transform", note)
    image = torch.zeros(3, HEIGHT, WIDTH, dtype=torch.uint8)
    for _ in range(COUNT):
        drawn.append([])
        reference(image)
    return [tuple(one) for one in drawn]


@pytest.mark.parametrize("policy", REFERENCES)
def test_draws_have_torchvisions_distribution(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = draw_operations(PolicyOptions(policy, 3, 12, 1.0), COUNT, HEIGHT, WIDTH, seed=2)
    names, values = np.array(OPERATIONS)[drawn.kinds], np.where(drawn.kinds == 0, 0.0, drawn.magnitudes.round(3))
    ours = Counter(zip(names.flat, values.flat, strict=True))
    others = Counter((name, round(value, 3)) for image in theirs(policy, monkeypatch) for name, value in image)
    others["Identity", 0.0] += drawn.kinds.size - sum(others.values())  # ours names what does not come to pass
    frequent = [key for key in ours | others if ours[key] + others[key] >= 5]
    assert len(frequent) > 20
    table = np.array([[ours[key] for key in frequent], [others[key] for key in frequent]])
    assert stats.chi2_contingency(table).pvalue > 0.001
    assert table.sum() > 0.8 * 2 * drawn.kinds.size  # 560 pairs in TrivialAugment


def test_trivialaugment_draws_one_operation_and_randaugment_as_many_as_asked() -> None:
    for policy, layers in (("trivialaugment", 1), ("randaugment", 4), ("autoaugment_svhn", 2)):
        assert draw_operations(PolicyOptions(policy, 4, 12, 1.0), 7, HEIGHT, WIDTH, 0).kinds.shape == (layers, 7)


def test_draws_depend_on_the_seed_only() -> None:
    first, again, other = (
        draw_operations(PolicyOptions("randaugment", 2, 9, 1.0), 50, HEIGHT, WIDTH, seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(first.magnitudes, again.magnitudes)
    assert not np.array_equal(first.kinds, other.kinds)


def test_randaugment_leaves_operations_out_and_changes_no_others() -> None:
    whole, half, none = (
        draw_operations(PolicyOptions("randaugment", 2, 9, probability), COUNT, HEIGHT, WIDTH, seed=3)
        for probability in (1.0, 0.5, 0.0)
    )
    kept = half.kinds == whole.kinds
    assert np.array_equal(half.magnitudes[kept], whole.magnitudes[kept])
    assert not half.kinds[~kept].any()
    assert not half.magnitudes[~kept].any()
    assert not none.kinds.any()
    share = kept[whole.kinds > 0].reshape(-1).mean()
    assert abs(share - 0.5) < 0.03
