"""Cutting views out of images of different sizes, a batch at a time, on the device.

The images of a batch lie one after another in one buffer of pixels, so nothing is padded to the largest of them.
Windows of the wanted size are copied exactly; others are resampled as torchvision does with antialiasing. A GPU does
that for all images at once, by two matrix products with each image's own filter; a CPU, which would spend six times as
long on the filters' zeros, does it image by image.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from attnbench.data.views import Views


def crop(pixels: Tensor, shapes: NDArray[np.int64], views: Views) -> Tensor:
    """Views (N, C, S, S), float32 of 0 to 255, of images that lie one after another in pixels (P, C) uint8.

    shapes: (N, 2), height and width of each.
    """
    exact = bool((views.windows[:, 2:] == views.size).all())
    if pixels.device.type == "cpu" and not exact:
        return _crop_one_by_one(pixels, shapes, views)
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))[:-1]])
    table = np.column_stack([starts, shapes[:, 1], views.windows, views.flips])
    columns = torch.from_numpy(table).to(pixels.device).unbind(1)  # one transfer for all
    height, width = (int(views.windows[:, axis].max()) for axis in (3, 2))
    patches = cut(pixels, columns, height, width).permute(0, 3, 1, 2).float()
    return patches if exact else resample(patches, columns[5], columns[4], views.size)


def _crop_one_by_one(pixels: Tensor, shapes: NDArray[np.int64], views: Views) -> Tensor:
    result = torch.empty(len(shapes), 3, views.size, views.size)
    images = pixels.split(shapes.prod(axis=1).tolist())
    for place, (image, (left, top, width, height)) in enumerate(zip(images, views.windows.tolist(), strict=True)):
        window = image.view(*shapes[place], 3)[top : top + height, left : left + width]
        size = (views.size, views.size)
        scaled = interpolate(window.permute(2, 0, 1)[None].float(), size, mode="bilinear", antialias=True)[0]
        result[place] = scaled.flip(2) if views.flips[place] else scaled
    return result


def cut(pixels: Tensor, columns: tuple[Tensor, ...], height: int, width: int) -> Tensor:
    """Windows (N, height, width, C), mirrored where asked for; what is smaller repeats its last row and column.

    columns: of each image, (N,) int64: start in `pixels`, width, the window's left, top, width, height, and mirrored
    or not.
    """
    start, stride, left, top, across, down, flip = (column[:, None] for column in columns)
    rows = top + torch.minimum(torch.arange(height, device=pixels.device), down - 1)
    steps = torch.minimum(torch.arange(width, device=pixels.device), across - 1)
    places = left + torch.where(flip.bool(), across - 1 - steps, steps)
    positions = (start + rows * stride)[:, :, None] + places[:, None, :]
    return pixels.index_select(0, positions.reshape(-1)).view(len(start), height, width, -1)


def resample(patches: Tensor, heights: Tensor, widths: Tensor, size: int) -> Tensor:
    """Bring the first `heights` rows and `widths` columns (N,) of patches (N, C, H, W) to (N, C, size, size)."""
    count, channels, height, width = patches.shape
    across = triangle_filter(widths, width, size).transpose(1, 2)
    narrowed = torch.bmm(patches.reshape(count, channels * height, width), across)
    lines = narrowed.view(count, channels, height, size).transpose(1, 2).reshape(count, height, channels * size)
    result = torch.bmm(triangle_filter(heights, height, size), lines)
    return result.view(count, size, channels, size).transpose(1, 2)


def triangle_filter(extents: Tensor, length: int, size: int) -> Tensor:
    """Weights (N, size, length) of bilinear resampling with antialiasing, from `extents` (N,) samples of `length`.

    An output takes the samples nearer to its centre than its support, which is a sample, or an output's width where
    that is more; the weight falls off linearly. Samples beyond the extent count for nothing.
    """
    scale = extents[:, None, None].float() / size
    centers = (torch.arange(size, device=extents.device)[:, None] + 0.5) * scale
    samples = torch.arange(length, device=extents.device)
    distance = (samples + 0.5 - centers).abs() / scale.clamp(min=1)
    weights = (1 - distance).clamp(min=0) * (samples < extents[:, None, None])
    return weights / weights.sum(dim=2, keepdim=True)
