"""One split of a data set in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Arrays:
    """One split in memory.

    Attributes:
        images: (N, H, W, C) uint8.
        labels: (N,) int64.
        boxes: (N, 4) float32, left, top, right and bottom edge of each object in pixels. None if no box is known, NaN
            for single images without one.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.bool_]) -> "Arrays":
        """Return the images where the mask (N,) is true."""
        return Arrays(self.images[chosen], self.labels[chosen], None if self.boxes is None else self.boxes[chosen])
