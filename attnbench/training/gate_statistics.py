"""Statistics of attention maps, for the metrics of each epoch."""

import torch

from attnbench.attention.base import Output
from attnbench.classifier import Network
from attnbench.runs.metric_names import GATE_PREFIX


@torch.no_grad()
def gate_statistics(net: Network, output: Output) -> dict[str, float]:
    """Return mean, spread and extremes of each attention map of a batch, under `gates/<map>/<statistic>`."""
    statistics = {}
    for name, gates in net.maps(output).items():
        values = gates.float()
        numbers = torch.stack([values.mean(), values.std(), values.amin(), values.amax()]).tolist()
        for statistic, number in zip(("mean", "std", "min", "max"), numbers, strict=True):
            statistics[f"{GATE_PREFIX}{name}/{statistic}"] = number
    return statistics
