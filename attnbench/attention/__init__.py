"""Attention variants, one paper a file, and their modules for any PyTorch network.

    from attnbench.attention import BAMModule

    module = BAMModule(256)                                   # the paper's defaults
    refined, extras = module(torch.randn(2, 256, 14, 14))     # (2, 256, 14, 14)

Classes called `...Module` map (B, C, H, W) to the same shape. The others (`BAM`, `Gated`, ...) attach to a backbone of
`attnbench.backbones`: `Classifier(ResNet(50, num_classes=100), BAM())`. Each is imported when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench.attention.bam import BAM, BAMModule
    from attnbench.attention.base import Attention, ModuleOutput, Output, Tap
    from attnbench.attention.cbam import CBAM, CBAMModule
    from attnbench.attention.eca import ECA, ECAModule
    from attnbench.attention.extra_block import ExtraBlock
    from attnbench.attention.gated import Gated
    from attnbench.attention.gated_heads import GatedAttentionModule
    from attnbench.attention.ggam import GGAM
    from attnbench.attention.per_block import PerBlockAttention
    from attnbench.attention.residual import ResidualAttention
    from attnbench.attention.residual_modules import ResidualAttentionModule
    from attnbench.attention.se import SE, SEModule
    from attnbench.attention.timm import TimmAttention

__all__ = [
    "BAM",
    "CBAM",
    "ECA",
    "GGAM",
    "SE",
    "Attention",
    "BAMModule",
    "CBAMModule",
    "ECAModule",
    "ExtraBlock",
    "Gated",
    "GatedAttentionModule",
    "ModuleOutput",
    "Output",
    "PerBlockAttention",
    "ResidualAttention",
    "ResidualAttentionModule",
    "SEModule",
    "Tap",
    "TimmAttention",
]

FILES = {
    "bam": ("BAM", "BAMModule"),
    "base": ("Attention", "ModuleOutput", "Output", "Tap"),
    "cbam": ("CBAM", "CBAMModule"),
    "eca": ("ECA", "ECAModule"),
    "extra_block": ("ExtraBlock",),
    "gated": ("Gated",),
    "gated_heads": ("GatedAttentionModule",),
    "ggam": ("GGAM",),
    "per_block": ("PerBlockAttention",),
    "residual": ("ResidualAttention",),
    "residual_modules": ("ResidualAttentionModule",),
    "se": ("SE", "SEModule"),
    "timm": ("TimmAttention",),
}
HOMES = {name: file for file, names in FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
