"""Attention maps over images, in colour: what explanations, predictions and training draw alike."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
COLOURS = "viridis"
"""Perceptually uniform, and legible for the colour-blind."""
OPACITY = 0.75
"""Of a map over its image."""
SIDE = 192
"""Pixels that the longer side of a smaller image is enlarged to, about."""


def spatial_means(maps: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the mean over channels or heads, (B, h, w), of the maps (B, K, h, w) that vary in space."""
    return {name: values.mean(1) for name, values in maps.items() if values.shape[2] * values.shape[3] > 1}


def grey(picture: Floats) -> Floats:
    """Return an image (C, H, W) in grey, (H, W)."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    result: Floats = picture[0] if len(picture) == 1 else np.tensordot(weights, picture, 1)
    return result


def enlarged(picture: Floats, side: int = SIDE) -> Floats:
    """Return an image (C, H, W) with every pixel repeated, so that its longer side is about `side` pixels or more."""
    factor = max(1, round(side / max(picture.shape[1:])))
    return picture.repeat(factor, axis=1).repeat(factor, axis=2)


def overlaid(picture: Floats, values: Floats, low: float, high: float, colours: str = COLOURS) -> Floats:
    """Lay a map over its image.

    Args:
        picture: (C, H, W) with values in [0, 1].
        values: the map (h, w), interpolated to the size of the enlarged image.
        low: the value that the first colour stands for.
        high: the value that the last colour stands for.
        colours: the name of one of matplotlib's colour maps.

    Returns:
        The enlarged image in grey below the map, (3, H', W') with values in [0, 1].
    """
    from matplotlib import colormaps

    below = grey(enlarged(picture))
    height, width = below.shape
    smooth = np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BILINEAR))
    share = np.clip((smooth - low) / max(high - low, 1e-12), 0, 1)
    above = colormaps[colours](share)[..., :3].transpose(2, 0, 1)
    result: Floats = (OPACITY * above + (1 - OPACITY) * below).astype(np.float32)
    return result
