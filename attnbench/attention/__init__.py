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
    from attnbench.attention.coordinate import CoordinateAttention, CoordinateModule
    from attnbench.attention.eca import ECA, ECAModule
    from attnbench.attention.extra_block import ExtraBlock
    from attnbench.attention.gated import Gated
    from attnbench.attention.gated_heads import GatedAttentionModule
    from attnbench.attention.gather_excite import GatherExcite, GatherExciteModule
    from attnbench.attention.gct import GCT, GCTModule
    from attnbench.attention.ggam import GGAM
    from attnbench.attention.global_context import GCModule, GlobalContext
    from attnbench.attention.non_local import NonLocal, NonLocalModule
    from attnbench.attention.per_block import PerBlockAttention
    from attnbench.attention.residual import ResidualAttention
    from attnbench.attention.residual_modules import ResidualAttentionModule
    from attnbench.attention.se import SE, SEModule
    from attnbench.attention.simam import SimAM, SimAMModule
    from attnbench.attention.sk import SK, SKModule
    from attnbench.attention.timm import TimmAttention
    from attnbench.attention.triplet import Triplet, TripletModule

__all__ = [
    "BAM",
    "CBAM",
    "ECA",
    "GCT",
    "GGAM",
    "SE",
    "SK",
    "Attention",
    "BAMModule",
    "CBAMModule",
    "CoordinateAttention",
    "CoordinateModule",
    "ECAModule",
    "ExtraBlock",
    "GCModule",
    "GCTModule",
    "Gated",
    "GatedAttentionModule",
    "GatherExcite",
    "GatherExciteModule",
    "GlobalContext",
    "ModuleOutput",
    "NonLocal",
    "NonLocalModule",
    "Output",
    "PerBlockAttention",
    "ResidualAttention",
    "ResidualAttentionModule",
    "SEModule",
    "SKModule",
    "SimAM",
    "SimAMModule",
    "Tap",
    "TimmAttention",
    "Triplet",
    "TripletModule",
]

FILES = {
    "bam": ("BAM", "BAMModule"),
    "base": ("Attention", "ModuleOutput", "Output", "Tap"),
    "cbam": ("CBAM", "CBAMModule"),
    "coordinate": ("CoordinateAttention", "CoordinateModule"),
    "eca": ("ECA", "ECAModule"),
    "extra_block": ("ExtraBlock",),
    "gated": ("Gated",),
    "gated_heads": ("GatedAttentionModule",),
    "gather_excite": ("GatherExcite", "GatherExciteModule"),
    "gct": ("GCT", "GCTModule"),
    "ggam": ("GGAM",),
    "global_context": ("GCModule", "GlobalContext"),
    "non_local": ("NonLocal", "NonLocalModule"),
    "per_block": ("PerBlockAttention",),
    "residual": ("ResidualAttention",),
    "residual_modules": ("ResidualAttentionModule",),
    "se": ("SE", "SEModule"),
    "simam": ("SimAM", "SimAMModule"),
    "sk": ("SK", "SKModule"),
    "timm": ("TimmAttention",),
    "triplet": ("Triplet", "TripletModule"),
}
HOMES = {name: file for file, names in FILES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
