"""Boxes in images, drawn on the host for a whole epoch, and their masks on the device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers = NDArray[np.int64]


def clipped_boxes(centers: Integers, halves: Integers, height: int, width: int) -> Integers:
    """Return the edges (N, 4), top, bottom, left and right, of boxes that end at the image's borders.

    Args:
        centers: (N, 2), row and column.
        halves: (N, 2), half of the height and of the width.
        height: of the images.
        width: of the images.
    """
    size = np.array([height, width])
    low, high = np.clip(centers - halves, 0, size), np.clip(centers + halves, 0, size)
    return np.stack([low[:, 0], high[:, 0], low[:, 1], high[:, 1]], axis=1)


def box_masks(edges: Tensor, height: int, width: int) -> Tensor:
    """Return the masks (B, 1, H, W) of boxes (B, 4), given by their top, bottom, left and right edges."""
    sides = edges.view(-1, 2, 2)  # the first and last edge of rows and of columns: both are compared at once
    places = torch.arange(max(height, width), device=edges.device)
    rows, columns = ((places >= sides[:, :, :1]) & (places < sides[:, :, 1:])).unbind(1)
    return rows[:, None, :height, None] & columns[:, None, None, :width]
