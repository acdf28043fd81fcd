"""Scores of the global gates of the gated method, before their tanh (eq. 5). Paper and options: gated.py."""

from typing import Literal, NamedTuple

from torch import Tensor, nn

from attnbench.attention.gated_heads import Form, GatedAttentionModule, Kernel, Mask
from attnbench.backbones.layers import BatchNorm1d

GateInput = Literal["pooled", "masked"]
"""The input of the global gates: the classifier's input, or the last map under an attention mask."""


class GateScores(NamedTuple):
    """Scores of the hypotheses for a batch.

    Attributes:
        scores: (B, N).
        masks: The mask (B, 1, H, W) under which they were drawn, or None.
    """

    scores: Tensor
    masks: Tensor | None


def pooled_gate(features: int, count: int, norm: bool) -> nn.Module:
    """Build the map from pooled features (B, F) to scores (B, N), followed by batch normalisation if `norm`."""
    linear = nn.Linear(features, count, bias=False)
    nn.init.kaiming_normal_(linear.weight)
    return nn.Sequential(linear, BatchNorm1d(count)) if norm else linear


class MaskedGate(nn.Module):
    """Scores of the hypotheses from the last map (B, C, H, W), under one attention head's mask (figure 2b).

    The head is that of a module (eqs. 1 and 2), with hypotheses in place of classes.

    Args:
        channels: C.
        count: N, the number of hypotheses.
        kernel: Side of the convolutions.
        mask: `softmax` or `sigmoid`.
        norm: Apply batch normalisation to the scores.
        form: `pooled` or `direct`: the same values.
    """

    def __init__(self, channels: int, count: int, kernel: Kernel, mask: Mask, norm: bool, form: Form) -> None:
        super().__init__()
        self.head = GatedAttentionModule(channels, count, 1, kernel, mask, head_gates=False, form=form)
        self.norm = BatchNorm1d(count) if norm else nn.Identity()

    def forward(self, x: Tensor) -> GateScores:
        result = self.head(x)
        return GateScores(self.norm(result.hypotheses[:, 0]), result.masks)
