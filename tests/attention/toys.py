"""Small attentions that prove the contract's harder shapes on any backbone."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import Attention, ModuleOutput, Output, Tap, hard_labels
from attnbench.backbones.base import Backbone, Features


class TrunkAndMask(nn.Module):
    """(1 + M(x)) T(x), both built of a backbone's own blocks."""

    def __init__(self, backbone: Backbone, stage: str) -> None:
        super().__init__()
        self.trunk, self.mask = backbone.make_block(stage), backbone.make_block(stage)

    def forward(self, x: Tensor) -> ModuleOutput:
        mask = torch.sigmoid(self.mask(x))
        return ModuleOutput((1 + mask) * self.trunk(x), {"mask": mask})


class OfItsOwnBlocks(Attention):
    """Shape 3: a trunk and a mask, of the backbone's blocks, after every stage."""

    def attach(self, backbone: Backbone) -> None:
        for stage in backbone.stages:
            backbone.insert(f"{stage}.out", TrunkAndMask(backbone, stage), "toy")

    def maps(self, output: Output) -> dict[str, Tensor]:
        return {key.split("/")[0]: value for key, value in output.features.taps.items() if key.endswith("/mask")}


class GatedTaps(Attention):
    """Shape 4: taps that predict for themselves, joined with the net's prediction by a gate."""

    def attach(self, backbone: Backbone) -> None:
        self.points = [f"{stage}.out" for stage in backbone.stages[:-1]]
        self.heads = nn.ModuleList()
        for point in self.points:
            backbone.insert(point, Tap(), "toy")
            self.heads.append(nn.Conv2d(backbone.points[point].channels, backbone.num_classes, 1))
        last = backbone.points[f"{backbone.stages[-1]}.out"].channels
        self.gate = nn.Linear(last, len(self.points) + 1)

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        assert logits is not None
        maps = {
            point: head(features.taps[f"{point}/toy/map"]) for point, head in zip(self.points, self.heads, strict=True)
        }
        gates = torch.softmax(torch.tanh(self.gate(features.final.mean((2, 3)))), 1)
        opinions = torch.stack([*(m.mean((2, 3)) for m in maps.values()), logits], 1).log_softmax(-1)
        return Output((gates[:, :, None] * opinions).sum(1), features, {"gates": gates, **maps})

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        likelihood = F.nll_loss(output.logits, hard_labels(target))
        return {"likelihood": likelihood, "spread": 0.1 * output.extras["gates"].square().sum(1).mean()}

    def maps(self, output: Output) -> dict[str, Tensor]:
        return {point: output.extras[point] for point in self.points}


class ScoreGradient(Attention):
    """Shape 4: its own head, and a loss that needs the gradient of a class score."""

    def __init__(self, lambda_: float = 1.0) -> None:
        super().__init__()
        self.weight = lambda_

    def attach(self, backbone: Backbone) -> None:
        channels = backbone.points[f"{backbone.stages[-1]}.out"].channels
        self.squeeze = nn.Linear(channels, channels)
        self.head = nn.Linear(channels, backbone.num_classes)
        backbone.remove_classifier()

    def classify(self, features: Features, logits: Tensor | None) -> Output:
        assert logits is None
        importance = torch.softmax(self.squeeze(features.final.mean((2, 3))), 1)
        attended = (importance[:, :, None, None] * features.final).sum(1, keepdim=True)
        scores = self.head((features.final * attended.sigmoid()).mean((2, 3)))
        return Output(scores, features, {"importance": importance, "map": attended})

    def losses(self, output: Output, target: Tensor) -> dict[str, Tensor]:
        score = output.logits.gather(1, hard_labels(target)[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, output.features.final, retain_graph=True)
        wanted = gradient.mean((2, 3)).softmax(1)
        guide = F.kl_div(output.extras["importance"].log(), wanted, reduction="batchmean")
        return {**super().losses(output, target), "guide": self.weight * guide}

    def maps(self, output: Output) -> dict[str, Tensor]:
        return {"attended": output.extras["map"]}


TOYS: Mapping[str, type[Attention]] = {"own blocks": OfItsOwnBlocks, "taps": GatedTaps, "score": ScoreGradient}
