"""A network in channels_last stays in it: no gradient comes back in another format, which would slow down the sum."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.attention.pairs import IN_BLOCKS, NARROW, build

LEFT = Counter({"gc": 6, "ggam": 2, "triplet": 24})
"""Gradients of a product over positions, of GGAM's small last map, and of maxima along height and width."""


OURS = sorted({*IN_BLOCKS, *LEFT} - {"timm"})


class MixedFormats(TorchDispatchMode):
    """Counts operations on two maps of one shape in different memory formats."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        maps = [each for each in args if isinstance(each, Tensor) and each.ndim == 4 and min(each.shape[1:]) > 1]
        for first, second in itertools.pairwise(maps):
            copied = 0 not in (*first.stride(), *second.stride())  # else it is broadcast, which costs nothing
            if first.shape == second.shape and copied and is_channels_last(first) != is_channels_last(second):
                self.found[str(func)] += 1
        return func(*args, **(kwargs or {}))


def is_channels_last(x: Tensor) -> bool:
    return x.stride(1) == 1  # so is a slice of channels, as the gradient of a concatenation


def mixed(attention: str, backbone: str) -> Counter[str]:
    """Return the operations on mixed formats in a training step."""
    net = build(attention, backbone).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with MixedFormats() as mode:
        output = net.output(images)
        torch.stack(list(net.losses(output, torch.tensor([0, 1])).values())).sum().backward()
    return mode.found


@pytest.mark.parametrize("attention", ["none", "bam", "residual", "extra_block", "sk", "gated", *OURS])
def test_with_every_attention(attention: str) -> None:
    assert mixed(attention, "resnet basic").total() == LEFT[attention]


@pytest.mark.parametrize("backbone", sorted(set(NARROW) - {"resnet basic", "cluttered mnist cnn"}))
def test_on_every_backbone(backbone: str) -> None:
    assert not mixed("none", backbone)


def test_a_slice_and_a_mean_are_found() -> None:
    x = torch.randn(2, 4, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    with MixedFormats() as mode:
        (x[:, :, ::2, ::2].sum() + (x * 2).sum()).backward()
        (x.mean((2, 3)).square().sum() + x.square().sum()).backward()
    assert mode.found
