"""Operations on batches against torchvision's on single images, for the same draws."""

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from attnbench.data.transforms.policies import OPERATIONS, POLICIES, SIGNED, PolicyOptions, draw_operations
from attnbench.data.transforms.policy_operations import Policy, apply_layer

REFERENCE: Any = v2.RandAugment()
MAGNITUDES = {
    "Identity": (0,), "Shear": (0.99, -0.3, 0.033), "Translate": (32, -3.4, 11.6), "Rotate": (135, -30, 4.5, 45),
    "Posterize": (2, 5, 8), "Solarize": (0, 255, 101.5), "AutoContrast": (0,), "Equalize": (0,), "Invert": (0,),
}  # fmt: skip
"""By the beginning of an operation's name; the others change a factor."""


def pictures(count: int, channels: int = 3, height: int = 40, width: int = 40) -> torch.Tensor:
    """Smooth images with some noise, one of them of one colour."""
    coarse = torch.rand(count, channels, 5, 5) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    images = (smooth + 12 * torch.randn(count, channels, height, width)).clamp(0, 255).to(torch.uint8)
    images[0] = 77
    return images


def theirs(image: torch.Tensor, name: str, magnitude: float) -> torch.Tensor:
    value = magnitude / 255 if name == "Solarize" else magnitude  # v2's is a share of the largest value
    changed: torch.Tensor = REFERENCE._apply_image_or_video_transform(
        image, name, value, interpolation=REFERENCE.interpolation, fill=REFERENCE._fill
    )
    return changed


def magnitudes_of(name: str) -> tuple[float, ...]:
    return next((values for start, values in MAGNITUDES.items() if name.startswith(start)), (0.9, -0.9, 0.27, -0.54))


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 40, 40), (1, 28, 28), (3, 20, 32)])
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions(name: str, channels: int, height: int, width: int) -> None:
    for magnitude in magnitudes_of(name):
        images = pictures(4, channels, height, width)
        found = apply_layer(images, np.full(4, OPERATIONS.index(name)), np.full(4, float(magnitude)))
        expected = torch.stack([theirs(image, name, magnitude) for image in images])
        differences = (found.int() - expected.int()).abs()
        share = (differences > 0).float().mean()
        if name in OPERATIONS[1:6]:  # another pixel may be the nearest where two are as near
            assert share < 0.01, magnitude
        elif name in SIGNED:  # a sum that is a whole number may be rounded to below it, in either of the two
            assert share < 0.05, magnitude
            assert differences.max() <= 1, magnitude
        else:
            assert share == 0, magnitude


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "none"])
def test_every_image_of_a_batch_gets_its_own(policy: str) -> None:
    drawn = draw_operations(PolicyOptions(policy, 2, 9, 1.0), 60, 40, 40, seed=1)
    images = pictures(30)
    found = Policy(PolicyOptions(policy, 2, 9, 1.0), 60, 40, 40, seed=1)(images, slice(0, 60, 2))
    for place, number in enumerate(range(0, 60, 2)):
        expected = images[place]
        for kind, magnitude in zip(drawn.kinds[:, number], drawn.magnitudes[:, number], strict=True):
            expected = theirs(expected, OPERATIONS[kind], magnitude)
        # a second operation may enlarge a difference of 1, as Posterize does
        assert (found[place] != expected).float().mean() < 0.02, OPERATIONS[kind]
