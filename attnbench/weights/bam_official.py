"""Weights of BAM's released code (Jongchan/attention-module, 459efad: `MODELS/bam.py`, `MODELS/model_resnet.py`) for
our ResNet with BAM, `variant=official`.

The released network strides in the 3x3 convolution, as ours does by default. Its names without those of BAM are
torchvision's, so that torchvision's ResNet weights load into the plain network in the same way.
"""

from collections.abc import Mapping

from torch import Tensor

from attnbench.backbones.adapters.torchvision_names import NAMES as TORCHVISION
from attnbench.backbones.adapters.torchvision_names import renamed
from attnbench.classifier import Classifier

GATE = r"^bam(\d+)\.(?:channel_att\.gate_c\.gate_c|spatial_att\.gate_s\.gate_s)_"
NAMES = (
    (r"^module\.", ""),  # data parallelism
    *TORCHVISION,
    (GATE + r"fc_0\.", r"stage\1.out.bam.channel.reduce."),
    (GATE + r"bn_1\.", r"stage\1.out.bam.channel.hidden_norm."),
    (GATE + r"fc_final\.", r"stage\1.out.bam.channel.expand."),
    (GATE + r"conv_reduce0\.", r"stage\1.out.bam.spatial.reduce."),
    (GATE + r"bn_reduce0\.", r"stage\1.out.bam.spatial.reduce_norm."),
    (GATE + r"conv_di_(\d)\.", r"stage\1.out.bam.spatial.dilate\2."),
    (GATE + r"bn_di_(\d)\.", r"stage\1.out.bam.spatial.dilate\2_norm."),
    (GATE + r"conv_final\.", r"stage\1.out.bam.spatial.project."),
)
"""Released names, as patterns, and ours, in the order in which they are replaced."""


def our_name(released: str) -> str:
    """The name, below the backbone, of what the released state dict calls `released`."""
    return renamed(released, NAMES)


def load_released(net: Classifier, state: Mapping[str, Tensor]) -> None:
    """Load a state dict with the released names into a ResNet with BAM (or without).

    state: of the network, not the checkpoint around it (`checkpoint["state_dict"]`). Raises `RuntimeError`, as
    `load_state_dict` does, for names or shapes that do not fit.
    """
    net.backbone.load_state_dict({our_name(name): tensor for name, tensor in state.items()})
