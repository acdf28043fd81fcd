"""One split of a data set in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Arrays:
    """One split in memory.

    images: (N, H, W, C) uint8. labels: (N,) int64.
    boxes: (N, 4) float32, each object's left, top, right and bottom edge in pixels; None where none are known,
    NaN where those of some images are not.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "Arrays":
        """The images where the mask (N,) is true."""
        return Arrays(self.images[chosen], self.labels[chosen], None if self.boxes is None else self.boxes[chosen])
