"""The operations of augmentation policies on batches of images, each with a magnitude of its own.

torchvision's functions take one magnitude for all images of a batch, so those that have one are written here, after
`torchvision.transforms.v2.functional`, whose other functions are called. The images of a batch are sorted by operation,
and each operation runs once for all of its images, on their device and without waiting for it.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv2d, grid_sample
from torchvision.transforms.v2 import functional

from attnbench.data.transforms.policies import OPERATIONS, Floats, Operations, PolicyOptions, draw_operations

GEOMETRIC = slice(OPERATIONS.index("ShearX"), OPERATIONS.index("Rotate") + 1)
"""Operations that move pixels; they are computed together."""
GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue, as in torchvision."""


class Policy:
    """Changes the images of one epoch; arguments as of `draw_operations`."""

    def __init__(self, options: PolicyOptions, count: int, height: int, width: int, seed: int) -> None:
        self.operations = draw_operations(options, count, height, width, seed)

    def __call__(self, images: Tensor, positions: slice | NDArray[np.int64]) -> Tensor:
        """Return changed images (B, C, H, W) uint8; positions: of the images in the epoch."""
        operations = self.operations
        return apply(images, Operations(operations.kinds[:, positions], operations.magnitudes[:, positions]))


def apply(images: Tensor, operations: Operations) -> Tensor:
    """Apply operations, one layer after another, to images (B, C, H, W) uint8."""
    for kinds, magnitudes in zip(operations.kinds, operations.magnitudes, strict=True):
        images = apply_layer(images, kinds, magnitudes)
    return images


def apply_layer(images: Tensor, kinds: NDArray[np.int64], magnitudes: Floats) -> Tensor:
    """Apply one operation to each of the images (B, C, H, W) uint8.

    Args:
        images: on any device.
        kinds: (B,) positions in `OPERATIONS`.
        magnitudes: (B,).
    """
    order = np.argsort(kinds, kind="stable")
    sizes = np.bincount(kinds, minlength=len(OPERATIONS))
    matrices = inverse_matrices(kinds[order], magnitudes[order], *images.shape[2:])
    host = np.column_stack([order, np.argsort(order), magnitudes[order], 1 + magnitudes[order], matrices])
    table = torch.from_numpy(host.astype(np.float32)).to(images.device)  # one transfer
    groups = [*sizes[: GEOMETRIC.start], sizes[GEOMETRIC].sum(), *sizes[GEOMETRIC.stop :]]
    parts = [
        function(part, rows) if len(part) else part
        for function, part, rows in zip(
            FUNCTIONS, images[table[:, 0].long()].split(groups), table[:, 2:].split(groups), strict=True
        )
    ]
    return torch.cat(parts)[table[:, 1].long()]


def inverse_matrices(kinds: NDArray[np.int64], magnitudes: Floats, height: int, width: int) -> Floats:
    """Return the matrices (B, 6), row by row, that map a pixel to the one it comes from, relative to the center.

    Shears keep the upper left corner, and translations are of whole pixels, as in torchvision.
    """
    matrices = np.tile([1.0, 0, 0, 0, 1, 0], (len(kinds), 1))
    for name, column, values in (
        ("ShearX", slice(1, 3), magnitudes[:, None] * [1, height / 2]),
        ("ShearY", slice(3, 6, 2), magnitudes[:, None] * [1, width / 2]),
        ("TranslateX", slice(2, 3), -np.trunc(magnitudes)[:, None]),
        ("TranslateY", slice(5, 6), -np.trunc(magnitudes)[:, None]),
    ):
        chosen = kinds == OPERATIONS.index(name)
        matrices[chosen, column] = values[chosen]
    turned = kinds == OPERATIONS.index("Rotate")
    cosine, sine = np.cos(np.radians(magnitudes[turned])), np.sin(np.radians(magnitudes[turned]))
    nothing = np.zeros_like(sine)
    matrices[turned] = np.stack([cosine, -sine, nothing, sine, cosine, nothing], axis=1)
    return matrices


def move(images: Tensor, table: Tensor) -> Tensor:
    """Move the pixels of images by their matrices; to the nearest pixel, black where none comes from the image."""
    (height, width), device = images.shape[2:], images.device
    rows = torch.linspace((1 - height) / 2, (height - 1) / 2, height, device=device)[:, None].expand(-1, width)
    columns = torch.linspace((1 - width) / 2, (width - 1) / 2, width, device=device).expand(height, -1)
    matrices = table[:, 2:].view(-1, 2, 3).transpose(1, 2) / torch.tensor([0.5 * width, 0.5 * height], device=device)
    places = torch.stack([columns, rows, torch.ones_like(rows)], 2).view(-1, 3) @ matrices
    grid = places.view(-1, height, width, 2)
    return grid_sample(images.float(), grid, mode="nearest", align_corners=False).round_().to(torch.uint8)


def blend(images: Tensor, others: Tensor, table: Tensor) -> Tensor:
    """Return images + magnitude * (images - others), in whole numbers: where the two are the same, images stay."""
    return ((images - others) * table[:, 0, None, None, None]).add_(images).clamp_(0, 255).to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Return the luminance (B, 1, H, W) in whole numbers; one-channel images are their own."""
    if images.shape[1] == 1:
        return images.float()
    red, green, blue = images.unbind(1)
    return red.mul(GREY[0]).add_(green, alpha=GREY[1]).add_(blue, alpha=GREY[2]).floor_()[:, None]


def brightness(images: Tensor, table: Tensor) -> Tensor:
    """Multiply all values."""
    return (images * table[:, 1, None, None, None]).clamp_(0, 255).to(torch.uint8)


def color(images: Tensor, table: Tensor) -> Tensor:
    """Change the distance to the luminance of each pixel."""
    return images if images.shape[1] == 1 else blend(images, grey(images), table)


def contrast(images: Tensor, table: Tensor) -> Tensor:
    """Change the distance to the mean luminance."""
    return blend(images, grey(images).mean((1, 2, 3), keepdim=True), table)


def sharpness(images: Tensor, table: Tensor) -> Tensor:
    """Change the distance to the smoothed image; pixels at the border stay."""
    weights = torch.full((3, 3), 1 / 13, device=images.device)
    weights[1, 1] = 5 / 13
    smooth, channels = images.float(), images.shape[1]
    smooth[..., 1:-1, 1:-1] = conv2d(smooth, weights.expand(channels, 1, 3, 3), groups=channels).round_()
    return blend(images, smooth, table)


def posterize(images: Tensor, table: Tensor) -> Tensor:
    """Keep the highest bits, whose number is the magnitude."""
    masks = 256 - torch.exp2(8 - table[:, 0])
    return images & masks.to(torch.uint8)[:, None, None, None]


def solarize(images: Tensor, table: Tensor) -> Tensor:
    """Invert values from the magnitude on."""
    return torch.where(images >= table[:, 0, None, None, None], ~images, images)


FUNCTIONS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda images, table: images,
    move,
    brightness,
    color,
    contrast,
    sharpness,
    posterize,
    solarize,
    lambda images, table: functional.autocontrast(images),
    lambda images, table: functional.equalize(images),
    lambda images, table: functional.invert(images),
)
"""No operation, those that move pixels, and the rest in the order of `OPERATIONS`.

Each takes images (B, C, H, W) uint8 and a table (B, 8): magnitude, 1 + magnitude, and the matrix of `inverse_matrices`.
"""
