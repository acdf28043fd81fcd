"""Measure how strongly stages respond: the mean absolute value of each stage's output over a test set.

Figure 4 of Residual Attention Network (CVPR 2017) shows it relative to the first stage's.

Before training, batch normalisation has no running moments yet: its buffers hold 0 and 1. The responses of a fresh
network are therefore measured with the moments of each batch, as its first training step has them.
"""

import torch
from torch import Tensor, nn

from attnbench.backbones.base import Backbone
from attnbench.runs.metric_names import RESPONSE_PREFIX

NAME = "response"


class Probe(nn.Module):
    """Pass a map (B, C, H, W) through and sum up its mean absolute values; has no parameters and no buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.images = 0
        self.total = torch.zeros((), dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Accumulate mean abs(x) per image of x (B, C, H, W); return x unchanged."""
        self.images += len(x)
        self.total = self.total + x.detach().float().abs().mean(dim=(1, 2, 3)).double().sum().cpu()
        return x


def insert_probes(backbone: Backbone) -> dict[str, Probe]:
    """Insert a probe at the end of every stage, after what an attention inserted there."""
    probes = {stage: Probe() for stage in backbone.stages}
    for stage, probe in probes.items():
        backbone.insert(f"{stage}.out", probe, NAME)
    return probes


def use_batch_moments(net: nn.Module) -> None:
    """Let batch normalisation take the moments of each batch in testing too; the running ones are dropped."""
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = None


def read_probes(probes: dict[str, Probe]) -> dict[str, float]:
    """Return mean absolute responses under their names in an evaluation's entry."""
    return {
        f"{RESPONSE_PREFIX}{stage}": float(probe.total) / probe.images
        for stage, probe in probes.items()
        if probe.images
    }
