"""Our networks against torchvision's: the same weights under other names must give the same logits."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from attnbench.backbones.base import Backbone

Spelling = Mapping[str, str | Callable[[re.Match[str]], str]]
"""What to replace, in turn, in our names to have torchvision's."""

RESNET_NAMES: Spelling = {
    r"^stem\.0": "conv1",
    r"^stem\.1": "bn1",
    r"^stage(\d)\.block": r"layer\1.",
    "shortcut": "downsample",
    "classifier": "fc",
}


def renamed(state: Mapping[str, Tensor], spelled: Spelling) -> dict[str, Tensor]:
    """Our state under torchvision's names."""
    result = {}
    for name, tensor in state.items():
        for ours, theirs in spelled.items():
            name = re.sub(ours, theirs, name)
        result[name] = tensor
    return result


def stir_statistics(net: nn.Module) -> None:
    """Move batch normalisation's running statistics away from 0 and 1, which would hide a layer that is left out."""
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)


@torch.no_grad()
def assert_same_logits(ours: Backbone, theirs: nn.Module, spelled: Spelling, images: Tensor) -> None:
    """`theirs` may be on the meta device. Each weight must be found under its name, and none be left."""
    stir_statistics(ours)
    theirs.load_state_dict(renamed(ours.state_dict(), spelled), assign=True)
    logits = ours.eval().classify(ours.features(images))
    assert torch.allclose(logits, theirs.eval()(images), rtol=1e-4, atol=1e-4 * logits.abs().max().item())
    assert logits.std() > 1e-4
