"""A gated WRN from the papers' equations and the facts of the released code, every layer by its definition."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from tests.attention.parity.compare import Losses
from tests.attention.parity.layers import Layers, Values, negative_likelihood, probabilities, sigmoid

DEPTH = 10


class Case(NamedTuple):
    """Options of a network: of the attention, and of the backbone."""

    attention: dict[str, Any]
    backbone: dict[str, Any]


class Reference(Layers):
    """A gated WRN of depth 10.

    Args:
        values: Parameters and running statistics, by name.
        case: Options of the attention and of the backbone.
        training: Whether batch normalisation takes the batch's own moments, and dropout drops.
    """

    def __init__(self, values: Values, case: Case, training: bool = False) -> None:
        super().__init__(values, training)
        self.backbone = case.backbone
        self.options: dict[str, Any] = {"variant": "paper", "depth": 3, "width": 4, "mask": "softmax", **case.attention}
        self.official = self.options["variant"] == "official"

    def block(self, x: Tensor, name: str, stride: int) -> tuple[Tensor, Tensor]:
        """Return the block's sum and its pre-activation."""
        pre = self.norm_relu(x, f"{name}.bn1")
        y = self.norm_relu(self.convolve(pre, f"{name}.conv1", stride), f"{name}.bn2")
        dropout = self.backbone.get("dropout", 0)
        if dropout and self.training:  # of whole channels, scaled by what remains
            keep = torch.empty(*y.shape[:2], 1, 1, dtype=y.dtype).bernoulli_(1 - dropout)
            y = y * keep / (1 - dropout)
        y = self.convolve(y, f"{name}.conv2")
        if f"{name}.shortcut.weight" in self.values:
            x = x if self.backbone.get("shortcut_input") == "raw" else pre
            x = self.convolve(x, f"{name}.shortcut", stride)
        return y + x, pre

    def maps(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the map of each stage that a module reads, and the last map."""
        x = self.convolve(x, "backbone.stem.0")
        if self.backbone.get("stem_norm"):
            x = self.norm_relu(x, "backbone.stem.1")
        sums, starts = [], []
        for stage in (1, 2, 3):
            for number in range((DEPTH - 4) // 6):
                stride = 2 if stage > 1 and number == 0 else 1
                x, pre = self.block(x, f"backbone.stage{stage}.block{number}", stride)
                starts += [pre] if number == 0 else []
            sums.append(x)
        last = self.norm_relu(x, "backbone.bn")
        if self.options.get("tap") == "own":
            own = (self.norm_relu(s, f"attention.heads.stage{n + 1}.norm") for n, s in enumerate(sums))
            return list(own), last
        return [*starts[1:], last], last

    def masks(self, x: Tensor, name: str) -> Tensor:
        """Return the weights (B, K, HW) of positions."""
        scores = self.convolve(x, name).flatten(2)
        if self.options["mask"] == "sigmoid":
            return sigmoid(scores) / scores.shape[2]
        return probabilities(scores)

    def module(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Return a module's label probabilities (B, L) and its masks (B, K, H, W)."""
        masks, heads = self.masks(x, f"{name}.mask"), self.options["width"]
        maps = self.convolve(x, f"{name}.scores").flatten(2).unflatten(1, (heads, -1))
        opinions = torch.einsum("bklp,bkp->bkl", maps, masks)
        scores = (self.convolve(x, f"{name}.gate").flatten(2) * masks).sum(2)
        gates = probabilities(scores.tanh())
        if self.options.get("head_combine") == "probabilities":
            result = torch.einsum("bk,bkl->bl", gates, probabilities(opinions))
        else:
            result = probabilities(torch.einsum("bk,bkl->bl", gates, opinions))
        return result, masks.unflatten(2, x.shape[2:])

    def gates(self, last: Tensor, count: int) -> Tensor:
        kind = self.options.get("global_gates", "softmax")
        if kind == "none":
            return last.new_full((len(last), count), 1 / count)
        norm = self.options.get("gate_norm", self.official)
        if self.options.get("gate_input") == "masked":
            mask = self.masks(last, "attention.gate.head.mask")[:, 0]
            scores = torch.einsum("bnp,bp->bn", self.convolve(last, "attention.gate.head.scores").flatten(2), mask)
            scores = self.norm(scores, "attention.gate.norm") if norm else scores
        else:
            scores = self.dense(last.mean((2, 3)), "attention.gate.0" if norm else "attention.gate")
            scores = self.norm(scores, "attention.gate.1") if norm else scores
        scores = scores.tanh()
        if kind == "sigmoid":
            opened = sigmoid(scores)
            return opened / (1e-6 + opened.sum(1, keepdim=True))
        return probabilities(scores)

    def output(self, x: Tensor, target: Tensor) -> tuple[Tensor, Losses]:
        """Return the output (B, L), then the mixture's loss and the regulariser with its weight."""
        maps, last = self.maps(x)
        used = list(range(3 - self.options["depth"], 3))
        results = [self.module(maps[n], f"attention.heads.stage{n + 1}") for n in used]
        plain = probabilities(self.dense(last.mean((2, 3)), "backbone.classifier"))
        opinions = [opinion for opinion, _ in results] + [plain]
        gates, stacked = self.gates(last, len(opinions)), torch.stack(opinions, 1)
        if self.official:
            output = torch.einsum("bn,bnl->bl", gates, stacked.log())
        else:
            output = torch.einsum("bn,bnl->bl", gates, stacked).log()
        regulariser = self.regulariser([masks for _, masks in results])
        return output, [negative_likelihood(output, target), regulariser]

    def regulariser(self, levels: list[Tensor]) -> Tensor:
        terms = []
        for masks in levels:
            found = masks.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)) if self.official else masks
            products = torch.einsum("bihw,bjhw->bij", found, found)
            others = products * (1 - torch.eye(products.shape[1], dtype=products.dtype))
            terms.append(others.square().mean() if self.official else others.sum((1, 2)).mean())
        return (0.001 if self.official else 0.1) * torch.stack(terms).sum() / len(terms)
