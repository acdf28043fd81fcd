"""The references tell options apart: with the same weights, each gives another result."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.attention.bam import parity as bam
from tests.attention.bam.reference import Reference as BAMReference
from tests.attention.ggam.networks import LABELS, features_of, ggam
from tests.attention.ggam.reference import reference_losses, state_of
from tests.attention.parity.compare import randomise
from tests.attention.parity.layers import values_of
from tests.attention.residual import parity as residual
from tests.attention.residual.reference import Reference as ResidualReference


def smallest_difference(outputs: Sequence[Tensor]) -> float:
    pairs = itertools.combinations(outputs, 2)
    return min((one - other).abs().max().item() for one, other in pairs)


@torch.no_grad()
def test_residual_attention() -> None:
    net, blocks, modules, side = residual.narrow({})
    images = torch.randn(2, 3, side, side, dtype=torch.float64)
    randomise(net, images)
    kinds = [
        {"activation": activation, "learning": learning}
        for activation in ("mixed", "channel", "spatial")
        for learning in ("residual", "naive")
    ]
    references = [ResidualReference(values_of(net), kind) for kind in kinds]
    outputs = [reference.network(images, blocks, modules, residual.DEPTHS) for reference in references]
    assert smallest_difference(outputs) > 1e-3


@torch.no_grad()
@pytest.mark.parametrize("variant", ["paper", "official"])
def test_bam(variant: str) -> None:
    net = bam.network(variant, {})
    images = torch.randn(2, 3, 16, 12, dtype=torch.float64)
    randomise(net, images)
    kinds: list[dict[str, Any]] = [*({"combine": name} for name in ("sum", "product", "max"))]
    kinds += [{"dilation": 1}, {"gate": "tanh"}, {"branch": "channel"}, {"branch": "spatial"}]
    references = [BAMReference(values_of(net), {"variant": variant, **kind}) for kind in kinds]
    assert smallest_difference([reference.network(images, bam.BLOCKS) for reference in references]) > 1e-3


def test_ggams_guide() -> None:
    beta = np.random.default_rng(0).normal(size=(3, 12))

    def guide(**options: Any) -> float:
        attention = ggam(**options).eval()
        a = features_of().final.detach().numpy()
        return float(reference_losses(a, state_of(attention), attention, LABELS.tolist(), beta)[1])

    kinds: list[dict[str, Any]] = [{}, {"divergence": "literal"}, {"divergence": "one_way"}, {"squash": "softmax"}]
    guides = [guide(**kind) for kind in [*kinds, {"loss_reduction": "sum"}]]
    assert min(abs(one - other) for one, other in itertools.combinations(guides, 2)) > 1e-3


@torch.no_grad()
def test_the_stem_of_the_imagenet_networks() -> None:
    """With a padded pooling, which has the same size and parameters, the output is not the released one."""
    net, blocks, modules, side = residual.named(
        "attention56_imagenet", 64, "backbone.width=8", "backbone.stem_pool=padded"
    )
    images = torch.randn(2, 3, side, side, dtype=torch.float64)
    randomise(net, images)
    expected = ResidualReference(values_of(net), {}).network(images, blocks, modules, residual.DEPTHS)
    assert (net.eval()(images) - expected).abs().max() > 0.01
