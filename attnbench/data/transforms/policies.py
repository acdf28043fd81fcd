"""Augmentation policies: which operations change each training image, and how much. Imports no torch.

- Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019, arXiv 1805.09501: one of 25
  learned pairs of operations, each with a probability and a magnitude.
- Cubuk et al., "RandAugment: Practical automated data augmentation with a reduced search space", NeurIPS 2020, arXiv
  1909.13719: several operations, all of one magnitude.
- Müller and Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021, arXiv 2103.10158:
  one operation of a random magnitude, from the paper's wide space.

Ranges, bins and learned policies are torchvision's. Every image draws its own operations;
`attnbench.data.transforms.policy_operations` applies them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attnbench.errors import require, require_choice

Floats = NDArray[np.float64]
POLICIES = ("none", "randaugment", "trivialaugment", "autoaugment_cifar10", "autoaugment_imagenet", "autoaugment_svhn")
OPERATIONS = (
    "Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast",
    "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize", "Invert",
)  # fmt: skip
"""An operation is known by its position here; those that move pixels follow each other."""
CHOSEN = len(OPERATIONS) - 1
"""RandAugment and TrivialAugment choose from all but the last one, `Invert`."""
SIGNED = OPERATIONS[1:10]
"""Operations whose magnitude is negative for half of the images."""
AUTO_BINS, BINS = 10, 31
"""Magnitudes of AutoAugment, and of the other two."""


@dataclass(frozen=True)
class PolicyOptions:
    """Which policy changes training images.

    Attributes:
        policy: one of `POLICIES`.
        policy_operations: how many operations RandAugment applies to an image.
        policy_magnitude: of RandAugment's operations, from 0 to 30.
        policy_probability: of each of RandAugment's operations; the paper applies every one.
    """

    policy: str
    policy_operations: int
    policy_magnitude: int
    policy_probability: float

    def check_policy(self) -> None:
        """Raise `OptionError` for a value out of range."""
        require_choice("policy", self.policy, POLICIES)
        require(self.policy_operations >= 1, "policy_operations", self.policy_operations, "must be at least 1")
        in_range = 0 <= self.policy_magnitude < BINS
        require(in_range, "policy_magnitude", self.policy_magnitude, f"must be from 0 to {BINS - 1}")
        require(0 <= self.policy_probability <= 1, "policy_probability", self.policy_probability, "must be in [0, 1]")


@dataclass(frozen=True)
class Operations:
    """Operations that are applied to each of N images, one after another.

    Attributes:
        kinds: (L, N) positions in `OPERATIONS`.
        magnitudes: (L, N), in the unit of each operation: pixels, degrees, bits, or a change of a factor.
    """

    kinds: NDArray[np.int64]
    magnitudes: Floats


def draw_operations(options: PolicyOptions, count: int, height: int, width: int, seed: int) -> Operations:
    """Draw the operations of each of an epoch's images, in the order of the epoch.

    Args:
        options: the policy, which must not be `none`.
        count: number of images, N.
        height: of the images.
        width: of the images.
        seed: of the epoch.
    """
    generator = np.random.default_rng(seed)
    if options.policy.startswith("autoaugment"):
        kinds, bins = _draw_learned(options.policy, count, generator)
        table = _magnitudes(AUTO_BINS, height, width)
    elif options.policy == "trivialaugment":
        kinds, bins = generator.integers(CHOSEN, size=(1, count)), generator.integers(BINS, size=(1, count))
        table = _magnitudes(BINS, height, width, wide=True)
    else:
        kinds = generator.integers(CHOSEN, size=(options.policy_operations, count))
        bins = np.full_like(kinds, options.policy_magnitude)
        table = _magnitudes(BINS, height, width)
    signed = np.isin(OPERATIONS, SIGNED)[kinds]
    signs = np.where(signed & (generator.random(kinds.shape) < 0.5), -1.0, 1.0)
    if options.policy == "randaugment":  # drawn last: the other draws do not depend on the probability
        kinds = np.where(generator.random(kinds.shape) < options.policy_probability, kinds, 0)
    return Operations(kinds, table[kinds, bins] * signs)


def _draw_learned(
    policy: str, count: int, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return kinds (2, N) and bins (2, N) of AutoAugment; an operation that does not come to pass is `Identity`."""
    from torchvision.transforms.autoaugment import AutoAugment, AutoAugmentPolicy  # imports torch

    learned = AutoAugment(AutoAugmentPolicy(policy.removeprefix("autoaugment_"))).policies
    table = [[(OPERATIONS.index(name), chance, step or 0) for name, chance, step in pair] for pair in learned]
    kinds, chances, bins = np.array(table)[generator.integers(len(table), size=count)].transpose(2, 1, 0)
    happens = generator.random((2, count)) < chances
    return np.where(happens, kinds, 0).astype(np.int64), bins.astype(np.int64)


def _magnitudes(bins: int, height: int, width: int, wide: bool = False) -> Floats:
    """Return each operation's magnitudes (len(OPERATIONS), bins); 0 where it has none.

    Args:
        bins: number of magnitudes.
        height: of the images.
        width: of the images.
        wide: the ranges of TrivialAugment's wide space instead of AutoAugment's (table 6), which RandAugment shares.
    """
    steps = np.linspace(0, 1, bins)
    shear, degrees, factor, bits = (0.99, 135, 0.99, 6) if wide else (0.3, 30, 0.9, 4)
    across, down = (32, 32) if wide else (150 / 331 * width, 150 / 331 * height)
    ranges = {
        "ShearX": shear * steps, "ShearY": shear * steps, "TranslateX": across * steps, "TranslateY": down * steps,
        "Rotate": degrees * steps, "Brightness": factor * steps, "Color": factor * steps, "Contrast": factor * steps,
        "Sharpness": factor * steps, "Posterize": 8 - np.rint(bits * steps), "Solarize": 255 * (1 - steps),
    }  # fmt: skip
    return np.array([ranges.get(name, np.zeros(bins)) for name in OPERATIONS])
