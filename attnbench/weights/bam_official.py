"""Names of BAM's released code (Jongchan/attention-module, 459efad: `MODELS/bam.py`, `MODELS/model_resnet.py`).

`backbone.weights=FILE` translates them, so that released weights load into our ResNet with BAM, `variant=official`:

    attnbench train backbone=resnet50 attention=bam attention.variant=official backbone.weights=FILE data=...

The released network strides in the 3x3 convolution, as ours does by default. Its other names are torchvision's, which
our ResNet and `torchvision/resnet50` read anyway.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from attnbench.backbones.adapters.torchvision_names import renamed

BRANCH = r"^bam(\d+)\.(?:channel_att\.gate_c\.gate_c|spatial_att\.gate_s\.gate_s)_"
NAMES = (
    (BRANCH + r"fc_0\.", r"stage\1.out.bam.channel.reduce."),
    (BRANCH + r"bn_1\.", r"stage\1.out.bam.channel.hidden_norm."),
    (BRANCH + r"fc_final\.", r"stage\1.out.bam.channel.expand."),
    (BRANCH + r"conv_reduce0\.", r"stage\1.out.bam.spatial.reduce."),
    (BRANCH + r"bn_reduce0\.", r"stage\1.out.bam.spatial.reduce_norm."),
    (BRANCH + r"conv_di_(\d)\.", r"stage\1.out.bam.spatial.dilate\2."),
    (BRANCH + r"bn_di_(\d)\.", r"stage\1.out.bam.spatial.dilate\2_norm."),
    (BRANCH + r"conv_final\.", r"stage\1.out.bam.spatial.project."),
)
"""Patterns of released names, and their replacements."""


def has_released_names(state: Mapping[str, Tensor]) -> bool:
    """Return whether a state dict is one of the released networks with BAM."""
    return any(re.match(BRANCH, name) for name in state)


def from_released(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a released state dict with our names of BAM's layers; other names stay.

    Args:
        state: Of the network, without the prefix of data parallelism.
    """
    return {renamed(name, NAMES): tensor for name, tensor in state.items()}
