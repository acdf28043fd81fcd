"""Cutting views out of images of different sizes, a batch at a time, on the device.

The images of a batch lie one after another in one buffer of pixels, so nothing is padded to the largest of them.
Windows of the wanted size are copied exactly; others are resampled as torchvision does with antialiasing. A GPU does
that for all images at once, by two matrix products with each image's own filter. A CPU does it image by image, in
integers as Pillow does: a value is off by one or two of 255, and it takes a sixth of the time.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.transforms.crop_params import CropParams
from attnbench.data.transforms.decode import resized


class Normaliser:
    """Cuts views, and brings them to mean 0 and deviation 1. mean, std: per channel, for values in [0, 1]."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        deviation = torch.tensor(std, dtype=torch.float32)
        self.scale = (1 / (255 * deviation)).to(device)
        self.shift = (-torch.tensor(mean, dtype=torch.float32) / deviation).to(device)

    def __call__(self, pixels: Tensor, shapes: NDArray[np.int64], views: CropParams, out: Tensor) -> None:
        """Write views into `out` (N, 3, S, S), of any precision and layout; the rest is as in `crop`."""
        if pixels.device.type != "cpu":
            scale, shift = self.scale[:, None, None], self.shift[:, None, None]
            out.copy_(crop(pixels, shapes, views).mul_(scale).add_(shift))
            return
        scale, shift = self.scale.repeat(views.size), self.shift.repeat(views.size)  # whole rows, for vectors
        with one_thread():
            for view, place in zip(crop_each(pixels, shapes, views), out.permute(0, 2, 3, 1), strict=True):
                values = torch.addcmul(shift, view.reshape(views.size, -1).float(), scale)
                place.copy_(values.view(view.shape))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread: on pieces as small as an image, several wait for each other, and for those that decode,
    longer than they compute.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def crop_each(pixels: Tensor, shapes: NDArray[np.int64], views: CropParams) -> Iterator[Tensor]:
    """Views (S, S, 3) uint8, one at a time; the arguments are those of `crop`."""
    images = pixels.split(shapes.prod(axis=1).tolist())
    for place, (image, (left, top, width, height)) in enumerate(zip(images, views.windows.tolist(), strict=True)):
        window = image.view(*shapes[place].tolist(), 3)[top : top + height, left : left + width]
        scaled = resized(window, views.size, views.size)
        yield scaled.flip(1) if views.flips[place] else scaled


def crop(pixels: Tensor, shapes: NDArray[np.int64], views: CropParams) -> Tensor:
    """Views (N, C, S, S), float32 of 0 to 255, of images that lie one after another in pixels (P, C) uint8.

    shapes: (N, 2), height and width of each.
    """
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))[:-1]])
    table = np.column_stack([starts, shapes[:, 1], views.windows, views.flips])
    columns = torch.from_numpy(table).to(pixels.device).unbind(1)  # one transfer for all
    height, width = (int(views.windows[:, axis].max()) for axis in (3, 2))
    patches = cut(pixels, columns, height, width).permute(0, 3, 1, 2).float()
    exact = bool((views.windows[:, 2:] == views.size).all())
    return patches if exact else resample(patches, columns[5], columns[4], views.size)


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
