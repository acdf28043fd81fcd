"""Gated attention against a network written here from the papers' equations and the facts of the released code.

The reference is in double precision and shares no code with the package: it takes a network's parameters by name and
computes the forward pass, the mixture and the loss. Its gradients are those of its own graph. `python -m
tests.attention.test_parity_gated` prints the largest differences, which docs/parity.md holds.
"""

from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attnbench.attention.gated import Gated
from attnbench.backbones.wrn import WideResNet
from attnbench.classifier import Classifier

CLASSES, DEPTH, WIDTH = 5, 10, 2
RELEASED: dict[str, Any] = {"shortcut_input": "raw", "stem_norm": True, "dropout_kind": "channel", "init": "fan_in"}


class Case(NamedTuple):
    """Options of a network: of the attention, and of the backbone."""

    attention: dict[str, Any]
    backbone: dict[str, Any]


CASES = {
    "official, released WRN": Case({"variant": "official"}, RELEASED),
    "official, released WRN, dropout 0.3": Case({"variant": "official"}, {**RELEASED, "dropout": 0.3}),
    "official, released WRN, sigmoid gates": Case({"variant": "official", "global_gates": "sigmoid"}, RELEASED),
    "official, released WRN, no gates": Case({"variant": "official", "global_gates": "none"}, RELEASED),
    "official, released WRN, AD = 1, AW = 2": Case({"variant": "official", "depth": 1, "width": 2}, RELEASED),
    "official, default WRN, own BN-ReLU": Case({"variant": "official", "tap": "own"}, {}),
    "paper": Case({}, {}),
    "paper, gates under a mask": Case({"gate_input": "masked"}, {}),
    "paper, gates under a mask, 3×3, BN": Case({"gate_input": "masked", "kernel": 3, "gate_norm": True}, {}),
    "paper, heads averaged as probabilities": Case({"head_combine": "probabilities"}, {}),
    "paper, gates under a mask, heads averaged as probabilities, sigmoid masks": Case(
        {"gate_input": "masked", "head_combine": "probabilities", "mask": "sigmoid"}, {}
    ),
}
TOLERANCE = 1e-10


class Reference:
    """A gated WRN as functions of a network's parameters and running statistics, by name."""

    def __init__(self, net: Classifier, case: Case) -> None:
        self.values = {**dict(net.named_parameters()), **dict(net.named_buffers())}
        self.training = net.training
        self.backbone = case.backbone
        self.options: dict[str, Any] = {"variant": "paper", "depth": 3, "width": 4, "mask": "softmax", **case.attention}
        self.official = self.options["variant"] == "official"

    def norm(self, x: Tensor, name: str) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        shape = [1, -1] + [1] * (x.ndim - 2)
        if self.training:
            mean = x.mean(axes)
            variance = (x - mean.reshape(shape)).square().mean(axes)
        else:
            mean, variance = self.values[f"{name}.running_mean"], self.values[f"{name}.running_var"]
        weight, bias = self.values[f"{name}.weight"], self.values[f"{name}.bias"]
        scaled = (x - mean.reshape(shape)) * (variance + 1e-5).rsqrt().reshape(shape)
        return scaled * weight.reshape(shape) + bias.reshape(shape)

    def convolve(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        """Convolve by matrix products over the windows of each position."""
        weight = self.values[f"{name}.weight"]
        size = weight.shape[-1]
        windows = F.unfold(x, size, padding=size // 2, stride=stride)
        side = [(length - 1) // stride + 1 for length in x.shape[2:]]
        return torch.einsum("oc,bcp->bop", weight.flatten(1), windows).unflatten(2, side)

    def block(self, x: Tensor, name: str, stride: int) -> tuple[Tensor, Tensor]:
        """Return the block's sum and its pre-activation."""
        pre = self.norm(x, f"{name}.bn1").clamp_min(0)
        y = self.norm(self.convolve(pre, f"{name}.conv1", stride), f"{name}.bn2").clamp_min(0)
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
            x = self.norm(x, "backbone.stem.1").clamp_min(0)
        sums, starts = [], []
        for stage in (1, 2, 3):
            for number in range((DEPTH - 4) // 6):
                stride = 2 if stage > 1 and number == 0 else 1
                x, pre = self.block(x, f"backbone.stage{stage}.block{number}", stride)
                starts += [pre] if number == 0 else []
            sums.append(x)
        last = self.norm(x, "backbone.bn").clamp_min(0)
        if self.options.get("tap") == "own":
            own = (self.norm(s, f"attention.heads.stage{n + 1}.norm").clamp_min(0) for n, s in enumerate(sums))
            return list(own), last
        return [*starts[1:], last], last

    def masks(self, x: Tensor, name: str) -> Tensor:
        """Return the weights (B, K, HW) of positions."""
        scores = self.convolve(x, name).flatten(2)
        if self.options["mask"] == "sigmoid":
            return 1 / (1 + (-scores).exp()) / scores.shape[2]
        powers = (scores - scores.detach().amax(2, keepdim=True)).exp()
        return powers / powers.sum(2, keepdim=True)

    def module(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        """Return a module's label probabilities (B, L) and its masks (B, K, H, W)."""
        masks, heads = self.masks(x, f"{name}.mask"), self.options["width"]
        maps = self.convolve(x, f"{name}.scores").flatten(2).unflatten(1, (heads, CLASSES))
        opinions = torch.einsum("bklp,bkp->bkl", maps, masks)
        scores = (self.convolve(x, f"{name}.gate").flatten(2) * masks).sum(2)
        gates = scores.tanh().exp()
        gates = gates / gates.sum(1, keepdim=True)
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
            weight = self.values["attention.gate.0.weight" if norm else "attention.gate.weight"]
            scores = last.mean((2, 3)) @ weight.T
            scores = self.norm(scores, "attention.gate.1") if norm else scores
        scores = scores.tanh()
        if kind == "sigmoid":
            opened = 1 / (1 + (-scores).exp())
            return opened / (1e-6 + opened.sum(1, keepdim=True))
        return scores.exp() / scores.exp().sum(1, keepdim=True)

    def output(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output (B, L), the mixture's loss and the regulariser with its weight."""
        maps, last = self.maps(x)
        used = list(range(3 - self.options["depth"], 3))
        results = [self.module(maps[n], f"attention.heads.stage{n + 1}") for n in used]
        weight, bias = self.values["backbone.classifier.weight"], self.values["backbone.classifier.bias"]
        opinions = [opinion for opinion, _ in results] + [probabilities(last.mean((2, 3)) @ weight.T + bias)]
        gates, stacked = self.gates(last, len(opinions)), torch.stack(opinions, 1)
        if self.official:
            output = torch.einsum("bn,bnl->bl", gates, stacked.log())
        else:
            output = torch.einsum("bn,bnl->bl", gates, stacked).log()
        likelihood = -torch.stack([output[i, label] for i, label in enumerate(target.tolist())]).sum() / len(x)
        return output, likelihood, self.regulariser([masks for _, masks in results])

    def regulariser(self, levels: list[Tensor]) -> Tensor:
        terms = []
        for masks in levels:
            found = masks.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)) if self.official else masks
            products = torch.einsum("bihw,bjhw->bij", found, found)
            others = products * (1 - torch.eye(products.shape[1], dtype=products.dtype))
            terms.append(others.square().mean() if self.official else others.sum((1, 2)).mean())
        return (0.001 if self.official else 0.1) * torch.stack(terms).sum() / len(terms)


def probabilities(scores: Tensor) -> Tensor:
    powers = (scores - scores.detach().amax(-1, keepdim=True)).exp()
    return powers / powers.sum(-1, keepdim=True)


def network(case: Case, training: bool) -> Classifier:
    """Build the network in double precision, with affine parameters and running statistics that do something."""
    torch.manual_seed(0)
    net = Classifier(WideResNet(DEPTH, WIDTH, CLASSES, stem_width=8, **case.backbone), Gated(**case.attention)).double()
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and (tensor.ndim == 1 or "running" in name):
            tensor.copy_(torch.rand(tensor.shape, dtype=torch.float64) + 0.5)
    return net.train(training)


class Differences(NamedTuple):
    """Largest absolute differences from the reference."""

    outputs: float
    gradients: float
    losses: float


def differences(case: Case, training: bool) -> Differences:
    net = network(case, training)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    target = torch.tensor([0, 3, 1, 4])
    parameters = list(net.parameters())
    torch.manual_seed(1)
    expected, *terms = Reference(net, case).output(images, target)
    slopes = torch.autograd.grad(terms[0] + terms[1], parameters)
    torch.manual_seed(1)
    output = net.output(images)
    losses = list(net.losses(output, target).values())
    found = torch.autograd.grad(losses[0] + losses[1], parameters)
    return Differences(
        (output.logits - expected).abs().max().item(),
        max((one - other).abs().max().item() for one, other in zip(found, slopes, strict=True)),
        max((one - other).abs().item() for one, other in zip(losses, terms, strict=True)),
    )


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", CASES)
def test_outputs_gradients_and_losses_are_the_references(name: str, training: bool) -> None:
    assert max(differences(CASES[name], training)) < TOLERANCE


def test_the_reference_tells_the_shortcuts_apart() -> None:
    """With the shortcuts of the default network, the output is not the released one."""
    attention, released = CASES["official, released WRN"]
    net = network(Case(attention, {**released, "shortcut_input": "preactivation"}), training=False)
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    expected, *_ = Reference(net, Case(attention, released)).output(images, torch.tensor([0, 3, 1, 4]))
    assert (net(images) - expected).abs().max() > 0.1


if __name__ == "__main__":
    for title, named in CASES.items():
        worst = (max(pair) for pair in zip(differences(named, False), differences(named, True), strict=True))
        print(f"| gated | {title} |", " | ".join(f"{number:.1e}" for number in worst), "|")
