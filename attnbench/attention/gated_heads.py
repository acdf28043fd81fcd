"""One attention module of the gated method: masks, class scores under the masks, gates of the heads.

Class scores are linear in the features, and so is pooling: instead of drawing L class maps for each head and pooling
them, features are pooled first and projected then. With p a position, d an offset of the 3x3 window and zeros outside,

    sum_p M(p) (W * x)(p) = sum_p M(p) sum_d W_d x(p + d) = sum_d W_d sum_q M(q - d) x(q)

so a 3x3 head pools with nine shifted masks, borders included, exactly: where q - d is outside, M is zero. Per head
this takes k² C (HW + L) multiply-adds in place of k² C HW L. The heads' gates are one more row of the projection.

Paper, equations and options: gated.py.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import at_least_float32
from attnbench.attention.gated_mixture import MIXTURES, Mixture
from attnbench.backbones.layers import BatchNorm2d
from attnbench.errors import require, require_literal

Mask = Literal["softmax", "sigmoid"]
Kernel = Literal[1, 3]
Form = Literal["pooled", "direct"]


def softmax_mask(scores: Tensor) -> Tensor:
    """Return weights (B, K, H, W) that sum to 1 over positions, for each head separately (eq. 1)."""
    return scores.flatten(2).softmax(-1).reshape(scores.shape)


def sigmoid_mask(scores: Tensor) -> Tensor:
    """Return weights (B, K, H, W) in (0, 1 / HW): their sum is the mean of a sigmoid mask."""
    return scores.sigmoid() / (scores.shape[2] * scores.shape[3])


MASKS: dict[Mask, Callable[[Tensor], Tensor]] = {"softmax": softmax_mask, "sigmoid": sigmoid_mask}


def scores_from_maps(x: Tensor, weights: Tensor, masks: Tensor) -> Tensor:
    """Return scores (B, K, R) the direct way: draw R maps for each head, weight them by its mask, add up (eq. 2).

    Args:
        x: Features (B, C, H, W).
        weights: (K, R, C, k, k) of the convolution that draws the maps.
        masks: (B, K, H, W).
    """
    maps = F.conv2d(x, weights.flatten(0, 1), padding=weights.shape[-1] // 2)
    per_head = maps.unflatten(1, weights.shape[:2])  # channel = k R + r: heads are the outer index
    return (per_head * masks[:, :, None]).sum((3, 4))


def scores_from_pooled(x: Tensor, weights: Tensor, masks: Tensor) -> Tensor:
    """Return the same scores (B, K, R) without maps: pool features under (shifted) masks, then project.

    Arguments as in `scores_from_maps`.
    """
    heads, size = weights.shape[0], weights.shape[-1]
    shifted = masks.flatten(2) if size == 1 else F.unfold(masks, size, padding=size // 2)  # (B, K k², HW)
    pooled = shifted.to(x.dtype) @ x.flatten(2).transpose(1, 2)  # (B, K k², C)
    pooled = pooled.unflatten(1, (heads, size * size)).flip(2)  # the window of offset d holds M(q + d)
    return torch.einsum("bkdc,krcd->bkr", pooled, weights.flatten(3))


FORMS: dict[Form, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "pooled": scores_from_pooled,
    "direct": scores_from_maps,
}


class HeadOutput(NamedTuple):
    """Predictions of one module for a batch.

    Attributes:
        hypotheses: Class scores or log-probabilities (B, 1, L), or (B, K, L) without gates of the heads.
        masks: The pooling weights (B, K, H, W).
        gates: Gates of the heads (B, K), or (B, 0) without.
    """

    hypotheses: Tensor
    masks: Tensor
    gates: Tensor


class GatedAttentionModule(nn.Module):
    """K heads on one feature map (B, C, H, W), each with its own mask and class scores (eqs. 1 to 4).

    Usable on any network's features; it predicts classes and leaves the features as they are.

    Example:
        >>> output = GatedAttentionModule(256, num_classes=10)(torch.randn(2, 256, 8, 8))
        >>> output.hypotheses.shape, output.masks.shape, output.gates.shape
        (torch.Size([2, 1, 10]), torch.Size([2, 4, 8, 8]), torch.Size([2, 4]))

    Args:
        channels: C.
        num_classes: L.
        width: K, the number of heads (AW in the paper).
        kernel: Side of all convolutions: 1 (paper) or 3 (released code).
        mask: `softmax` or `sigmoid`.
        head_gates: Join the heads by gates (eqs. 3 and 4); without, each head is a hypothesis.
        norm: Read the map through the module's own BN-ReLU.
        form: `pooled` or `direct`: the same values, `direct` slower.
        combine: What the heads' gates weigh: `logits` (eq. 4), `probabilities` or `log_probabilities`; the hypothesis
            then is logits or log-probabilities.

    Raises:
        OptionError: An option has an invalid value.
    """

    def __init__(
        self,
        channels: int,
        num_classes: int,
        width: int = 4,
        kernel: Kernel = 1,
        mask: Mask = "softmax",
        head_gates: bool = True,
        norm: bool = False,
        form: Form = "pooled",
        combine: Mixture = "logits",
    ) -> None:
        super().__init__()
        require(width >= 1, "width", width, "must be at least 1")
        require_literal("kernel", kernel, Kernel)
        require_literal("mask", mask, Mask)
        require_literal("form", form, Form)
        require_literal("combine", combine, Mixture)
        convolution = partial(nn.Conv2d, channels, kernel_size=kernel, padding=kernel // 2, bias=False)
        self.norm = BatchNorm2d(channels) if norm else None
        self.mask = convolution(width)
        self.scores = convolution(width * num_classes)
        self.gate = convolution(width) if head_gates else None
        self.width, self.mask_kind, self.form, self.combine = width, mask, form, combine
        for layer in (self.mask, self.scores, self.gate):
            if layer is not None:
                nn.init.kaiming_normal_(layer.weight)

    def rows(self) -> Tensor:
        """Return the weights (K, R, C, k, k) of all scores under the masks: L classes, then the gate, if any."""
        rows = self.scores.weight.unflatten(0, (self.width, -1))
        return rows if self.gate is None else torch.cat([rows, self.gate.weight[:, None]], 1)

    def forward(self, x: Tensor) -> HeadOutput:
        masks, scores = self.score_heads(x)
        if self.gate is None:
            return HeadOutput(scores, masks, scores.new_empty(x.shape[0], 0))  # len() would fix the batch of an export
        gates = torch.tanh(scores[:, :, -1]).softmax(1)  # eq. 3
        return HeadOutput(MIXTURES[self.combine](scores[:, :, :-1], gates)[:, None], masks, gates)  # eq. 4

    def score_heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masks (B, K, H, W) and each head's scores (B, K, R): L classes, then the gate's, if any."""
        if self.norm is not None:
            x = F.relu(self.norm(x))
        masks = MASKS[self.mask_kind](at_least_float32(self.mask(x)))  # eq. 1
        return masks, at_least_float32(FORMS[self.form](x, self.rows(), masks))  # eq. 2
