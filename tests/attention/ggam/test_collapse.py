"""At the rate of the quick profile's recipe, the channel importance S does not fall onto one channel.

The labels are drawn anew for each batch, so there is nothing to learn: as in a run's first epochs, all that moves S are
large steps in changing directions.
"""

from typing import Any

import pytest
import torch

from attnbench.attention.ggam import GGAM
from attnbench.attention.ggam_diagnostics import COLLAPSED
from attnbench.backbones.base import Features
from attnbench.backbones.resnet import ResNet
from tests.attention.ggam.networks import total

RATE = 0.4
"""Of configs/recipe/one_cycle.yaml."""
CHANNELS, CLASSES, BATCH, STEPS = 128, 10, 32, 60

ROWS: dict[str, dict[str, Any]] = {
    "channel": {"spatial": False, "lambda_": 0.0},
    "channel + CAM": {"spatial": False},
    "spatial": {"spatial_norm": "softmax", "lambda_": 0.0},
    "spatial + CAM": {"spatial_norm": "softmax"},
    "both": {"lambda_": 0.0},
    "both + CAM": {},
}
"""The rows of configs/paper/ggam/ablation.yaml that have a channel importance."""


def lowest_entropy(seed: int, **options: Any) -> float:
    """Train on noise, and return the lowest entropy of S, as a share of the uniform distribution's."""
    torch.manual_seed(seed)
    attention = GGAM(head_width=64, **options)
    attention.attach(ResNet(8, CLASSES, width=CHANNELS // 4))
    generator = torch.Generator().manual_seed(seed)
    batches = torch.randn(4, BATCH, CHANNELS, 3, 3, generator=generator).relu()
    optimiser = torch.optim.SGD(attention.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    lowest = 1.0
    for step in range(STEPS):
        labels = torch.randint(CLASSES, (BATCH,), generator=generator)
        output = attention.classify(Features(batches[step % 4], {}), None)
        lowest = min(lowest, attention.diagnostics(output, labels)["entropy"].item())
        optimiser.zero_grad()
        total(attention.losses(output, labels)).backward()
        optimiser.step()
    return lowest


@pytest.mark.parametrize(
    "options",
    [pytest.param(options, marks=pytest.mark.slow if "CAM" in row else (), id=row) for row, options in ROWS.items()],
)
def test_the_importance_keeps_its_entropy(options: dict[str, Any]) -> None:
    assert lowest_entropy(0, **options) > 0.9


@pytest.mark.parametrize("row", ["channel", "both"])
def test_of_the_printed_formula_it_collapses(row: str) -> None:
    assert min(lowest_entropy(seed, **ROWS[row], descriptor="literal") for seed in (0, 1)) < COLLAPSED


def test_the_importance_does_not_depend_on_the_size_of_the_features() -> None:
    torch.manual_seed(0)
    attention = GGAM(reduction=4)
    attention.attach(ResNet(8, CLASSES, width=8))
    x = torch.rand(2, 32, 3, 3)
    small, large = (attention.maps(attention.classify(Features(y, {}), None))["channel"] for y in (x, 100 * x))
    assert torch.allclose(small, large, atol=1e-7)


def test_features_of_zero_have_an_importance() -> None:
    torch.manual_seed(0)
    attention = GGAM(reduction=4)
    attention.attach(ResNet(8, CLASSES, width=8))
    output = attention.classify(Features(torch.zeros(2, 32, 3, 3, requires_grad=True), {}), None)
    total(attention.losses(output, torch.tensor([1, 2]))).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in attention.parameters())
    assert output.extras["log_importance"].isfinite().all()
