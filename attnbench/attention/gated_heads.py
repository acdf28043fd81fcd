"""One attention module of the gated method: masks, class scores under the masks, gates of the heads.

Class scores are linear in the features, and so is pooling: instead of drawing L class maps for each head and pooling
them, features are pooled first and projected then. With p a position, d an offset of the 3x3 window and zeros outside,

    sum_p M(p) (W * x)(p) = sum_p M(p) sum_d W_d x(p + d) = sum_d W_d sum_q M(q - d) x(q)

so a 3x3 head pools with nine shifted masks, borders included, exactly: where q - d lies outside, M is zero. Per head
this takes k² C (HW + L) multiply-adds in place of k² C HW L. The heads' gates are one more row of the projection.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import precise
from attnbench.backbones.layers import BatchNorm2d


def softmax_mask(scores: Tensor) -> Tensor:
    """Weights (B, K, H, W) that sum to 1 over positions, for each head on its own (eq. 1)."""
    return scores.flatten(2).softmax(-1).reshape(scores.shape)


def sigmoid_mask(scores: Tensor) -> Tensor:
    """Weights (B, K, H, W) in (0, 1 / HW): their sum is the mean of a sigmoid mask."""
    return scores.sigmoid() / (scores.shape[2] * scores.shape[3])


MASKS: dict[str, Callable[[Tensor], Tensor]] = {"softmax": softmax_mask, "sigmoid": sigmoid_mask}


def scores_from_maps(x: Tensor, weights: Tensor, masks: Tensor) -> Tensor:
    """Scores (B, K, R) the direct way: draw R maps for each head, weigh them by its mask, add up (eq. 2).

    x: (B, C, H, W). weights: (K, R, C, k, k). masks: (B, K, H, W).
    """
    maps = F.conv2d(x, weights.flatten(0, 1), padding=weights.shape[-1] // 2)
    per_head = maps.unflatten(1, weights.shape[:2])  # channel = k R + r: heads are the outer index
    return (per_head * masks[:, :, None]).sum((3, 4))


def scores_from_pooled(x: Tensor, weights: Tensor, masks: Tensor) -> Tensor:
    """The same scores (B, K, R) without maps: pool features under (shifted) masks, then project."""
    heads, size = weights.shape[0], weights.shape[-1]
    shifted = masks.flatten(2) if size == 1 else F.unfold(masks, size, padding=size // 2)  # (B, K k², HW)
    pooled = shifted.to(x.dtype) @ x.flatten(2).transpose(1, 2)  # (B, K k², C)
    pooled = pooled.unflatten(1, (heads, size * size)).flip(2)  # the window of offset d holds M(q + d)
    return torch.einsum("bkdc,krcd->bkr", pooled, weights.flatten(3))


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "pooled": scores_from_pooled,
    "direct": scores_from_maps,
}


class HeadOutput(NamedTuple):
    """What one module thinks of a batch.

    hypotheses: class scores (B, 1, L), or (B, K, L) without gates of the heads. masks: the pooling weights
    (B, K, H, W). gates: those of the heads (B, K), or (B, 0).
    """

    hypotheses: Tensor
    masks: Tensor
    gates: Tensor


class AttentionModule(nn.Module):
    """K heads on one feature map (B, C, H, W), each with a mask and class scores of its own (eqs. 1 to 4).

    gated: join the heads by gates. norm: read the map through a BN-ReLU of the module's own.
    """

    def __init__(
        self, channels: int, classes: int, width: int, kernel: int, mask: str, gated: bool, norm: bool, form: str
    ) -> None:
        super().__init__()
        self.norm = BatchNorm2d(channels) if norm else None
        self.mask = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False)
        self.scores = nn.Conv2d(channels, width * classes, kernel, padding=kernel // 2, bias=False)
        self.gate = nn.Conv2d(channels, width, kernel, padding=kernel // 2, bias=False) if gated else None
        self.width, self.kind, self.form = width, mask, form
        for layer in (self.mask, self.scores, self.gate):
            if layer is not None:
                nn.init.kaiming_normal_(layer.weight)

    def rows(self) -> Tensor:
        """Weights (K, R, C, k, k) of what is read under the masks: L class scores, then the gate's score if any."""
        rows = self.scores.weight.unflatten(0, (self.width, -1))
        return rows if self.gate is None else torch.cat([rows, self.gate.weight[:, None]], 1)

    def forward(self, x: Tensor) -> HeadOutput:
        if self.norm is not None:
            x = F.relu(self.norm(x))
        masks = MASKS[self.kind](precise(self.mask(x)))
        scores = precise(FORMS[self.form](x, self.rows(), masks))
        if self.gate is None:
            return HeadOutput(scores, masks, scores.new_empty(len(x), 0))
        gates = torch.tanh(scores[:, :, -1]).softmax(1)  # eq. 3
        return HeadOutput((gates[:, :, None] * scores[:, :, :-1]).sum(1, keepdim=True), masks, gates)  # eq. 4


def likeness(masks: Tensor) -> Tensor:
    """Inner products (B, K, K) of different heads' masks (B, K, H, W); the diagonal is zero."""
    flat = masks.flatten(2)
    gram = flat @ flat.transpose(1, 2)
    return gram * (1 - torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device))


def published_regulariser(masks: Tensor) -> Tensor:
    """sum over i != j of |<M_i, M_j>|, a scalar (predecessor's eqs. 3 and 4)."""
    return likeness(masks).abs().sum((1, 2)).mean()


def official_regulariser(masks: Tensor) -> Tensor:
    """Mean of (<M_i, M_j> for i != j, else 0)² over masks averaged 2x2, as released; a side of 1 stays as it is."""
    window = (min(2, masks.shape[2]), min(2, masks.shape[3]))
    return likeness(F.avg_pool2d(masks, window)).square().mean()


REGULARISERS: dict[str, Callable[[Tensor], Tensor]] = {
    "published": published_regulariser,
    "official": official_regulariser,
}
