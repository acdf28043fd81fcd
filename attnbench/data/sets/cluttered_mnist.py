"""Cluttered Translated MNIST as the authors of "Attend and Rectify" (ECCV 2018) generate it.

    canvas 40x40, the digit at its native 28x28, 8 distractors of 8x8; 200,000 / 100,000 / 100,000 images

Their generator (Google DeepMind's mnist-cluttered under the scripts of prlz77/painless-attention.pytorch, branch dev)
takes the first 50,000 training images of MNIST for training, the last 10,000 for validation and the test images for
testing, for digits and distractors alike. It repeats random permutations of a split's digits, so that each appears
equally often: four times in training, ten times in validation and testing. We do the same with other random numbers.
The network gets values in [0, 1], neither centred nor scaled, because it begins with a batch normalisation.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attnbench.data.sets.cluttered import RECIPE_VERSION, Cluttered, Scene
from attnbench.data.sets.mnist import SIDE, MNISTFiles
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import Split

HELD_OUT = 6
"""One in six training images of MNIST, the last 10,000 of 60,000, is used for validation."""


def even_order(labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return indices (count,): random permutations of all digits, concatenated."""
    rounds = -(-count // len(labels))
    return np.concatenate([np.arange(0), *(generator.permutation(len(labels)) for _ in range(rounds))])[:count]


class ClutteredMNIST(MNISTFiles, Cluttered):
    """MNIST's digits among fragments of other digits. Options as in `Scene`, `Cluttered` and `TorchvisionLayout`.

    Validation images are made of their own digits, whatever their number.
    """

    name = "cluttered_mnist"

    def __init__(self, canvas: int, distractors: int, distractor_size: int, **options: Any) -> None:
        super().__init__(scene=Scene(canvas, SIDE, distractors, distractor_size), **options)

    def fingerprint(self) -> str:
        return f"cluttered mnist, recipe {RECIPE_VERSION}"  # MNIST's files are checked against their md5

    def order(self, labels: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        return even_order(labels, count, generator)

    def sources(self, split: Split) -> Arrays:
        """Read the digits that a split is made of."""
        digits = self.digits(train=split != "test")
        if split == "test":
            return digits
        first = np.arange(len(digits)) < len(digits) - len(digits) // HELD_OUT
        return digits.take(first if split == "train" else ~first)
