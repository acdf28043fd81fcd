"""torchvision's names of ResNet's layers, and ours: its files (`resnet50-*.pth`) load into our ResNet and ResNeXt."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

NAMES = (
    (r"^conv1\.", "stem.0."),
    (r"^bn1\.", "stem.1."),
    (r"^fc\.", "classifier."),
    (r"^layer(\d+)\.(\d+)\.", r"stage\1.block\2."),
    (r"\.downsample\.", ".shortcut."),
)
"""Patterns, and what takes their place, in this order."""


def renamed(name: str, patterns: Sequence[tuple[str, str]] = NAMES) -> str:
    """A name after all replacements."""
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A ResNet's state dict under our names, if it has torchvision's."""
    if "conv1.weight" not in state:
        return dict(state)
    return {renamed(name): tensor for name, tensor in state.items()}
