"""Translate torchvision's names of ResNet's layers to ours, so that its files load into our ResNet and ResNeXt."""

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
"""Patterns and their replacements, applied in this order."""


def renamed(name: str, patterns: Sequence[tuple[str, str]] = NAMES) -> str:
    """Return a name after all replacements."""
    for pattern, replacement in patterns:
        name = re.sub(pattern, replacement, name)
    return name


def from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a ResNet's state dict under our names; one that does not have torchvision's names stays as it is."""
    if "conv1.weight" not in state:
        return dict(state)
    return {renamed(name): tensor for name, tensor in state.items()}
