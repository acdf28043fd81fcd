"""Regularisers of the gated method, which keep the heads of a module apart. Paper and options: gated.py."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.base import Variant
from attnbench.errors import OptionError, require

Regulariser = Literal["published", "official", "none"]
RegulariserOption = Literal["auto", Regulariser]


def mask_overlaps(masks: Tensor) -> Tensor:
    """Return inner products (B, K, K) of different heads' masks (B, K, H, W); the diagonal is zero."""
    flat = masks.flatten(2)
    gram = flat @ flat.transpose(1, 2)
    return gram * (1 - torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device))


def published_regulariser(masks: Tensor) -> Tensor:
    """Return the sum over i != j of |<M_i, M_j>|, averaged over the batch (eqs. 3 and 4 of the predecessor)."""
    return mask_overlaps(masks).abs().sum((1, 2)).mean()


def official_regulariser(masks: Tensor) -> Tensor:
    """Return the mean square of <M_i, M_j>, zero for i = j, on masks averaged 2x2, as released.

    A side of one pixel is not averaged; the released code fails on it.
    """
    window = (min(2, masks.shape[2]), min(2, masks.shape[3]))
    return mask_overlaps(F.avg_pool2d(masks, window)).square().mean()


REGULARISERS: dict[str, Callable[[Tensor], Tensor]] = {
    "published": published_regulariser,
    "official": official_regulariser,
}
WEIGHTS: dict[Regulariser, float] = {"published": 0.1, "official": 0.001, "none": 0.0}
"""Weight in the loss, by regulariser: the predecessor's and the released code's."""


def choose_regulariser(
    regulariser: RegulariserOption, weight: float | Literal["auto"], width: int, variant: Variant
) -> tuple[Regulariser, float]:
    """Resolve `auto` in regulariser and weight. Raises `OptionError` for values that contradict each other."""
    if width == 1 and regulariser in REGULARISERS:
        raise OptionError("regulariser", regulariser, "compares heads, and width=1 is one: leave it at auto")
    if regulariser == "auto":
        by_variant: Regulariser = "official" if variant == "official" else "published"
        regulariser = "none" if width == 1 else by_variant
    if regulariser == "none" and weight != "auto" and width > 1:
        raise OptionError("regulariser_weight", weight, "has no effect with regulariser=none: leave it at auto")
    number = WEIGHTS[regulariser] if weight == "auto" else weight
    valid = isinstance(number, int | float) and number >= 0
    require(valid, "regulariser_weight", number, "must be auto or at least 0")
    return regulariser, float(number)
