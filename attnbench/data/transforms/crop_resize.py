"""Crops of images of different sizes, cut and normalised a batch at a time on the device.

The images of a batch are concatenated in one buffer of pixels, so nothing is padded to the largest of them. Windows of
the output size are copied exactly; others are resampled like torchvision's antialiased resizing. A GPU does this for
all images at once, by two matrix products with a filter for each image. A CPU does it image by image in integers, like
Pillow: values differ by one or two of 255, and it takes a sixth of the time.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.transforms.crop_params import CropParams
from attnbench.data.transforms.decode import resized
from attnbench.data.transforms.normalisation import scale_and_shift


class Normaliser:
    """Cuts crops and normalises them to mean 0 and standard deviation 1.

    Args:
        mean: mean of each channel, for values in [0, 1].
        std: standard deviation of each channel, likewise.
        device: where images are.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], device: torch.device) -> None:
        self.scale, self.shift = (values.to(device) for values in scale_and_shift(mean, std))

    def __call__(
        self,
        pixels: Tensor,
        shapes: NDArray[np.int64],
        params: CropParams,
        out: Tensor,
        change: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Write crops into `out` (N, 3, S, S), of any precision and memory layout. Further arguments as in `crop`.

        Args:
            change: maps the crops (N, 3, S, S) uint8 to those that are normalised.
        """
        if change is not None or pixels.device.type != "cpu":
            scale, shift = self.scale[:, None, None], self.shift[:, None, None]
            crops = crop(pixels, shapes, params) if change is None else change(whole_crops(pixels, shapes, params))
            out.copy_(crops.float().mul_(scale).add_(shift))
            return
        # whole rows, so that the loop over a row is vectorised
        scale, shift = self.scale.repeat(params.size), self.shift.repeat(params.size)
        with one_thread():
            for image, target in zip(crop_each(pixels, shapes, params), out.permute(0, 2, 3, 1), strict=True):
                values = torch.addcmul(shift, image.reshape(params.size, -1).float(), scale)
                target.copy_(values.view(image.shape))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute in one thread within the context.

    On data as small as an image, several threads wait longer for each other, and for the decoding ones, than they
    compute.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def crop_each(pixels: Tensor, shapes: NDArray[np.int64], params: CropParams) -> Iterator[Tensor]:
    """Yield crops (S, S, 3) uint8 one at a time. Arguments as in `crop`."""
    images = pixels.split(shapes.prod(axis=1).tolist())
    for index, (image, (left, top, width, height)) in enumerate(zip(images, params.windows.tolist(), strict=True)):
        window = image.view(*shapes[index].tolist(), 3)[top : top + height, left : left + width]
        scaled = resized(window, params.size, params.size)
        yield scaled.flip(1) if params.flips[index] else scaled


def whole_crops(pixels: Tensor, shapes: NDArray[np.int64], params: CropParams) -> Tensor:
    """Return crops (N, 3, S, S) uint8 on the device. Arguments as in `crop`."""
    if pixels.device.type != "cpu":
        return crop(pixels, shapes, params).round_().to(torch.uint8)
    with one_thread():
        return torch.stack(list(crop_each(pixels, shapes, params))).permute(0, 3, 1, 2)


def crop(pixels: Tensor, shapes: NDArray[np.int64], params: CropParams) -> Tensor:
    """Crop images on the device.

    Args:
        pixels: (P, C) uint8, the pixels of N images, concatenated.
        shapes: (N, 2), height and width of each image.
        params: their crops.

    Returns:
        (N, C, S, S) float32, from 0 to 255.
    """
    starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))[:-1]])
    table = np.column_stack([starts, shapes[:, 1], params.windows, params.flips])
    columns = torch.from_numpy(table).to(pixels.device).unbind(1)  # one transfer for all columns
    height, width = (int(params.windows[:, axis].max()) for axis in (3, 2))
    patches = cut(pixels, columns, height, width).permute(0, 3, 1, 2).float()
    exact = bool((params.windows[:, 2:] == params.size).all())
    return patches if exact else resample(patches, columns[5], columns[4], params.size)


def cut(pixels: Tensor, columns: tuple[Tensor, ...], height: int, width: int) -> Tensor:
    """Cut windows out of concatenated images; smaller windows are filled up with their last row and column.

    Args:
        pixels: (P, C) uint8.
        columns: seven tensors (N,) int64: start in `pixels`, width of the image, left, top, width and height of the
            window, and whether it is mirrored.
        height: of the result, at least that of the highest window.
        width: of the result, at least that of the widest window.

    Returns:
        (N, height, width, C) uint8.
    """
    start, stride, left, top, across, down, flip = (column[:, None] for column in columns)
    rows = top + torch.minimum(torch.arange(height, device=pixels.device), down - 1)
    steps = torch.minimum(torch.arange(width, device=pixels.device), across - 1)
    places = left + torch.where(flip.bool(), across - 1 - steps, steps)
    positions = (start + rows * stride)[:, :, None] + places[:, None, :]
    return pixels.index_select(0, positions.reshape(-1)).view(len(start), height, width, -1)


def resample(patches: Tensor, heights: Tensor, widths: Tensor, size: int) -> Tensor:
    """Resize the first `heights` rows and `widths` columns (N,) of patches (N, C, H, W) to (N, C, size, size)."""
    count, channels, height, width = patches.shape
    across = triangle_filter(widths, width, size).transpose(1, 2)
    narrowed = torch.bmm(patches.reshape(count, channels * height, width), across)
    lines = narrowed.view(count, channels, height, size).transpose(1, 2).reshape(count, height, channels * size)
    result = torch.bmm(triangle_filter(heights, height, size), lines)
    return result.view(count, size, channels, size).transpose(1, 2)


def triangle_filter(extents: Tensor, length: int, size: int) -> Tensor:
    """Compute the weights of antialiased bilinear resampling.

    An output sums the samples within a distance of one sample, or of one output's width where that is larger; weights
    fall off linearly.

    Args:
        extents: (N,), how many of the `length` samples are used; the others have weight 0.
        length: number of samples.
        size: number of outputs.

    Returns:
        (N, size, length) float32.
    """
    scale = extents[:, None, None].float() / size
    centers = (torch.arange(size, device=extents.device)[:, None] + 0.5) * scale
    samples = torch.arange(length, device=extents.device)
    distance = (samples + 0.5 - centers).abs() / scale.clamp(min=1)
    weights = (1 - distance).clamp(min=0) * (samples < extents[:, None, None])
    return weights / weights.sum(dim=2, keepdim=True)
