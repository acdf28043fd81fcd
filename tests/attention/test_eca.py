"""ECA against its equation, its kernel rule and timm."""

import pytest
import torch
from timm.layers.create_attn import create_attn

from attnbench.attention.eca import ECAModule, kernel_size
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import count
from tests.attention.timm_parity import assert_same_as_timm, make_timm


def test_channels_are_scaled_by_a_gate_of_their_neighbours_means() -> None:
    module, x = ECAModule(16), torch.randn(2, 16, 5, 7)
    weight = module.conv.weight.flatten()
    means = torch.cat([torch.zeros(2, 1), x.mean((2, 3)), torch.zeros(2, 1)], 1)
    scores = torch.stack([means[:, index : index + 3] @ weight for index in range(16)], 1)
    torch.testing.assert_close(module(x), x * torch.sigmoid(scores)[:, :, None, None])


def test_the_kernel_follows_from_the_channels() -> None:
    assert {c: kernel_size(c) for c in (4, 16, 64, 127, 128, 512, 2047, 2048)} == {
        4: 3, 16: 3, 64: 3, 127: 3, 128: 5, 512: 5, 2047: 5, 2048: 7,
    }  # fmt: skip
    with torch.device("meta"):
        assert all(create_attn("eca", c).conv.kernel_size == (kernel_size(c),) for c in range(1, 4097))


@pytest.mark.parametrize("channels", [8, 64, 256])
def test_parity_with_timm(channels: int) -> None:
    torch.manual_seed(1)
    ours = ECAModule(channels)
    torch.manual_seed(1)
    assert_same_as_timm(ours, make_timm("eca", channels), channels)


def test_it_adds_a_few_numbers_a_block() -> None:
    cost = count(build_model_on_meta(compose(["attention=eca", "data=cifar10"])), 3, 32)
    assert cost.attention_parameters == 9 * 3
