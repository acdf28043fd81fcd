"""BAM's equations and, for the released code, its layers, by their definitions; and a ResNet around the modules."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tests.attention.parity.layers import Layers, Values, sigmoid

DEFAULTS: dict[str, Any] = {"variant": "paper", "branch": "both", "dilation": 4, "gate": "sigmoid"}


class Reference(Layers):
    """BAM and a ResNet of bottleneck blocks that stride in their first convolution.

    Args:
        values: Parameters and running statistics, by name.
        options: Of the attention, where they differ from the paper's.
        training: Whether batch normalisation takes the batch's own moments.
    """

    def __init__(self, values: Values, options: Mapping[str, Any], training: bool = False) -> None:
        super().__init__(values, training)
        self.options = {**DEFAULTS, **options}
        self.official = self.options["variant"] == "official"

    def channel(self, x: Tensor, name: str) -> Tensor:
        """Equation 3: one number for each channel."""
        hidden = self.dense(x.flatten(2).mean(-1), f"{name}.reduce")
        hidden = self.norm(hidden, f"{name}.hidden_norm") if self.official else hidden
        result = self.dense(hidden.clamp_min(0), f"{name}.expand")
        return (result if self.official else self.norm(result, f"{name}.norm"))[:, :, None, None]

    def spatial(self, x: Tensor, name: str) -> Tensor:
        """Equation 4: one number for each position."""
        for layer, dilation in (("reduce", 1), ("dilate0", self.options["dilation"])):
            x = self.hidden(x, f"{name}.{layer}", dilation)
        x = self.hidden(x, f"{name}.dilate1", self.options["dilation"])
        x = self.convolve(x, f"{name}.project")
        return x if self.official else self.norm(x, f"{name}.norm")

    def hidden(self, x: Tensor, name: str, dilation: int) -> Tensor:
        x = self.convolve(x, name, dilation=dilation)
        return (self.norm(x, f"{name}_norm") if self.official else x).clamp_min(0)

    def combined(self, channel: Tensor, spatial: Tensor) -> Tensor:
        combine = self.options.get("combine", "product" if self.official else "sum")
        if combine == "max":
            return torch.maximum(channel, spatial)
        return channel * spatial if combine == "product" else channel + spatial

    def module(self, x: Tensor, name: str) -> Tensor:
        """Equations 1 and 2; `name` ends with a dot, or is empty."""
        branch = self.options["branch"]
        if branch == "both":
            logits = self.combined(self.channel(x, f"{name}channel"), self.spatial(x, f"{name}spatial"))
        else:
            logits = (self.channel if branch == "channel" else self.spatial)(x, f"{name}{branch}")
        gate = logits.tanh() if self.options["gate"] == "tanh" else sigmoid(logits)
        return x + x * gate

    def block(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self.norm_relu(self.convolve(x, f"{name}.conv1", stride), f"{name}.bn1")
        y = self.norm_relu(self.convolve(y, f"{name}.conv2"), f"{name}.bn2")
        y = self.norm(self.convolve(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.shortcut.0.weight" in self.values:
            x = self.norm(self.convolve(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
        return (x + y).clamp_min(0)

    def network(self, x: Tensor, blocks: int) -> Tensor:
        """Return logits of a network of three stages of `blocks` blocks."""
        everywhere = self.options.get("placement") == "block"
        x = self.norm_relu(self.convolve(x, "backbone.stem.0"), "backbone.stem.1")
        for stage in (1, 2, 3):
            for number in range(blocks):
                name = f"backbone.stage{stage}.block{number}"
                x = self.block(x, name, 2 if stage > 1 and number == 0 else 1)
                x = self.module(x, f"{name}.out.bam.") if everywhere else x
            if stage < 3 and not everywhere:  # before each downsampling
                x = self.module(x, f"backbone.stage{stage}.out.bam.")
        return self.dense(x.mean((2, 3)), "backbone.classifier")
