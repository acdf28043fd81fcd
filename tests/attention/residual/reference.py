"""Figure 2 as a recursion, and the networks around it, every layer by its definition."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from tests.attention.parity.layers import Layers, Values, caffe_pool, sigmoid

FIGURE_2: dict[str, Any] = {
    "p": 1, "t": 2, "r": 1, "mask": "encoder_decoder", "activation": "mixed", "learning": "residual",
}  # fmt: skip


def lines(small: int, large: int) -> Tensor:
    """Weights (large, small) of linear interpolation with the first and last samples on one another."""
    weights = torch.zeros(large, small, dtype=torch.float64)
    for index in range(large):
        place = index * (small - 1) / (large - 1) if large > 1 else 0.0
        left = min(int(place), small - 1)
        weights[index, left] += 1 - (place - left)
        weights[index, min(left + 1, small - 1)] += place - left
    return weights


def aligned(x: Tensor, size: torch.Size) -> Tensor:
    rows, columns = lines(x.shape[2], size[0]), lines(x.shape[3], size[1])
    return torch.einsum("ih,bchw,jw->bcij", rows, x, columns)


def activate(u: Tensor, activation: str) -> Tensor:
    """Equations 4 to 6."""
    if activation == "channel":
        return u / u.square().sum(1, keepdim=True).sqrt()
    if activation == "spatial":
        positions = u.shape[2] * u.shape[3]
        centred = u - u.sum((2, 3), keepdim=True) / positions
        u = centred / (centred.square().sum((2, 3), keepdim=True) / positions + 1e-5).sqrt()
    return sigmoid(u)


class Reference(Layers):
    """Attention modules and networks.

    Args:
        values: Parameters and running statistics, by name.
        options: Of the attention, where they differ from figure 2.
        training: Whether batch normalisation takes the batch's own moments.
        preactivated: Whether units are pre-activation bottlenecks, else ResNeXt's.
    """

    def __init__(
        self, values: Values, options: Mapping[str, Any], training: bool = False, preactivated: bool = True
    ) -> None:
        super().__init__(values, training)
        self.options, self.preactivated = {**FIGURE_2, **options}, preactivated

    def unit(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """Three convolutions, the second with the stride; projections where there are some."""
        if self.preactivated:
            pre = self.norm_relu(x, f"{name}.bn1")
            y = self.norm_relu(self.convolve(pre, f"{name}.conv1"), f"{name}.bn2")
            y = self.norm_relu(self.convolve(y, f"{name}.conv2", stride), f"{name}.bn3")
            projected = f"{name}.shortcut.weight" in self.values
            shortcut = self.convolve(pre, f"{name}.shortcut", stride) if projected else x
            return self.convolve(y, f"{name}.conv3") + shortcut
        y = self.norm_relu(self.convolve(x, f"{name}.conv1"), f"{name}.bn1")
        y = self.norm_relu(self.convolve(y, f"{name}.conv2", stride), f"{name}.bn2")
        y = self.norm(self.convolve(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.shortcut.0.weight" in self.values:
            x = self.norm(self.convolve(x, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
        return (x + y).clamp_min(0)

    def units(self, x: Tensor, name: str, number: int) -> Tensor:
        for index in range(number):
            x = self.unit(x, f"{name}.{index}")
        return x

    def descend(self, x: Tensor, name: str, level: int, depth: int) -> Tensor:
        """The mask branch below a map: pool, r units, and everything deeper."""
        r = self.options["r"]
        pooled = caffe_pool(x)
        if level == depth:
            return self.units(pooled, f"{name}.down.{level - 1}", 2 * r)
        here = self.units(pooled, f"{name}.down.{level - 1}", r)
        below = self.descend(here, name, level + 1, depth)
        inner_first = depth - 1 - level
        joint = aligned(below, here.shape[2:]) + self.unit(here, f"{name}.skip.{inner_first}")
        return self.units(joint, f"{name}.up.{inner_first}", r)

    def mask(self, x: Tensor, name: str, depth: int) -> Tensor:
        local = self.options["mask"] == "local"
        branch = f"{name}.branch"
        u = self.units(x, branch, 3) if local else aligned(self.descend(x, branch, 1, depth), x.shape[2:])
        if self.preactivated:
            u = self.norm_relu(u, f"{name}.norm1")
        u = self.norm_relu(self.convolve(u, f"{name}.conv1"), f"{name}.norm2")
        return activate(self.convolve(u, f"{name}.conv2"), self.options["activation"])

    def module(self, x: Tensor, name: str, depth: int) -> tuple[Tensor, Tensor]:
        """Return a module's output and its mask; `name` ends with a dot, or is empty."""
        x = self.units(x, f"{name}pre", self.options["p"])
        mask = self.mask(x, f"{name}mask", depth)
        trunk = self.units(x, f"{name}trunk", self.options["t"])
        joined = mask * trunk if self.options["learning"] == "naive" else (1 + mask) * trunk
        if f"{name}norm.weight" in self.values:
            joined = self.norm(joined, f"{name}norm")
        return self.units(joined, f"{name}post", self.options["p"]), mask

    def stem(self, x: Tensor, name: str) -> Tensor:
        """A 3x3 convolution, or a 7x7 one that strides and is pooled as Caffe pools; BN-ReLU where there is some."""
        imagenet = self.values[f"{name}.0.weight"].shape[-1] == 7
        x = self.convolve(x, f"{name}.0", 2 if imagenet else 1)
        x = self.norm_relu(x, f"{name}.1") if f"{name}.1.weight" in self.values else x
        return caffe_pool(x) if imagenet else x

    def network(self, x: Tensor, blocks: Sequence[int], modules: Sequence[int], depths: Sequence[int]) -> Tensor:
        """Return logits of a network.

        Args:
            x: Images.
            blocks: Units of each stage before its modules.
            modules: Modules of each stage; none in further stages.
            depths: Poolings of each stage's masks.
        """
        x = self.stem(x, "backbone.stem")
        for index, count in enumerate(blocks):
            stage = f"backbone.stage{index + 1}"
            for number in range(count):
                x = self.unit(x, f"{stage}.block{number}", 2 if index > 0 and number == 0 else 1)
            for number in range(modules[index] if index < len(modules) else 0):
                x, _ = self.module(x, f"{stage}.out.residual{number}.", depths[index])
        x = self.norm_relu(x, "backbone.bn") if self.preactivated else x
        return self.dense(x.mean((2, 3)), "backbone.classifier")
