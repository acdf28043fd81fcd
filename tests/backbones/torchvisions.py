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


def take_statistics(net: Backbone, images: Tensor) -> None:
    """Set batch normalisation's running statistics to those of `images`: at 0 and 1 they hide a layer left out."""
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain mean over batches, of which there is one
    net.train().features(images)


@torch.no_grad()
def assert_same_logits(ours: Backbone, theirs: nn.Module, spelled: Spelling, images: Tensor) -> None:
    """`theirs` may be on the meta device. Each weight must be found under its name, and none be left."""
    take_statistics(ours, images)
    theirs.load_state_dict(renamed(ours.state_dict(), spelled), assign=True)
    logits = ours.eval().classify(ours.features(images))
    assert torch.allclose(logits, theirs.eval()(images), rtol=1e-4, atol=1e-4 * logits.abs().max().item())
    assert logits.std() > 1e-4
