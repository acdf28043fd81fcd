"""The reference of whole gated networks sees what it is there for."""

import torch

from tests.attention.gated.network_reference import Case, Reference
from tests.attention.gated.parity import CASES, IMAGES, TARGET, network
from tests.attention.parity.layers import values_of


def test_the_reference_tells_the_shortcuts_apart() -> None:
    """With the shortcuts of the default network, the output is not the released one."""
    attention, released = CASES["official, released WRN"]
    net = network(Case(attention, {**released, "shortcut_input": "preactivation"}), training=False)
    images = torch.randn(IMAGES, dtype=torch.float64)
    expected, _ = Reference(values_of(net), Case(attention, released)).output(images, torch.tensor(TARGET))
    assert (net(images) - expected).abs().max() > 0.1
