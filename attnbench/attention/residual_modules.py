"""The modules of residual attention: mask branch, mask, and the module that joins mask and trunk.

Paper, equations and deviations: residual.py.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.amplify import amplify
from attnbench.attention.base import ModuleOutput
from attnbench.backbones.layers import BatchNorm2d, conv1x1, initialise
from attnbench.errors import require, require_literal

MaskKind = Literal["encoder_decoder", "local"]
Activation = Literal["mixed", "channel", "spatial"]
Learning = Literal["residual", "naive"]
SumNorm = Literal["none", "batch"]
SumNormOption = Literal["auto", SumNorm]
MakeBlock = Callable[[], nn.Module]
"""Builds a fresh block that maps (B, C, H, W) to the same shape."""

LOCAL_BLOCKS = 3
"""Blocks of a local mask (section 4.1)."""


def mixed(u: Tensor) -> Tensor:
    """Return a gate (B, C, H, W) in (0, 1) for each channel and position (eq. 4)."""
    return torch.sigmoid(u)


def channel(u: Tensor) -> Tensor:
    """Return each position's channels as a unit vector; values are in [-1, 1] (eq. 5)."""
    return F.normalize(u, dim=1, eps=1e-12)


def spatial(u: Tensor) -> Tensor:
    """Normalise each channel of each image over its positions and return a gate in (0, 1) (eq. 6)."""
    variance, mean = torch.var_mean(u, (2, 3), correction=0, keepdim=True)
    return torch.sigmoid((u - mean) * (variance + 1e-5).rsqrt())


def residual(mask: Tensor, trunk: Tensor) -> Tensor:
    """Join mask and trunk by eq. 3."""
    return amplify(trunk, mask)


def naive(mask: Tensor, trunk: Tensor) -> Tensor:
    """Join mask and trunk by eq. 1."""
    return mask * trunk


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {"mixed": mixed, "channel": channel, "spatial": spatial}
LEARNING: dict[Learning, Callable[[Tensor, Tensor], Tensor]] = {"residual": residual, "naive": naive}


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate (B, C, h, w) bilinearly, aligned at the corners, to the size of `like` (B, *, H, W)."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def require_room(depth: int, height: int, width: int) -> None:
    """Raise `OptionError` for a map of which `depth` poolings leave nothing; each halves the sides, rounding down."""
    require(min(height, width) >> depth > 0, "mask_depth", depth, f"too many poolings for a map of {height}x{width}")


def chain(make_block: MakeBlock, blocks: int) -> nn.Sequential:
    """Build a run of blocks."""
    return nn.Sequential(*(make_block() for _ in range(blocks)))


class EncoderDecoder(nn.Module):
    """The mask branch up to its last layers: (B, C, H, W) to the same shape by way of `depth` poolings."""

    def __init__(self, make_block: MakeBlock, depth: int, r: int) -> None:
        super().__init__()
        self.depth = depth
        self.down = nn.ModuleList(chain(make_block, r if level < depth else 2 * r) for level in range(1, depth + 1))
        self.skip = nn.ModuleList(make_block() for _ in range(depth - 1))
        self.up = nn.ModuleList(chain(make_block, r) for _ in range(depth - 1))

    def forward(self, x: Tensor) -> Tensor:
        require_room(self.depth, x.shape[2], x.shape[3])
        u, pooled = x, []
        for blocks in self.down:
            u = blocks(F.max_pool2d(u, 3, stride=2, ceil_mode=True))
            pooled.append(u)
        pooled.pop()  # the smallest map is u itself
        for skip, blocks in zip(self.skip, self.up, strict=True):
            larger = pooled.pop()
            u = blocks(resize(u, larger) + skip(larger))
        return resize(u, x)


class Mask(nn.Sequential):
    """The mask M of (B, C, H, W): a branch of blocks, two 1x1 convolutions, the activation.

    Args:
        branch: Maps (B, C, H, W) to the same shape.
        channels: C.
        activation: `mixed`, `channel` or `spatial`.
        preactivated: Whether the branch returns a raw sum, so that BN-ReLU precedes each of the convolutions.
    """

    def __init__(self, branch: nn.Module, channels: int, activation: Activation, preactivated: bool) -> None:
        super().__init__()
        self.branch = branch
        for index in (1, 2):
            if preactivated or index == 2:
                self.add_module(f"norm{index}", nn.BatchNorm2d(channels))
                self.add_module(f"relu{index}", nn.ReLU(inplace=True))
            self.add_module(f"conv{index}", conv1x1(channels, channels))
            initialise(self.get_submodule(f"conv{index}"))
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.activation](super().forward(x))


class ResidualAttentionModule(nn.Module):
    """One attention module of trunk and mask, built of any blocks. Usable in any network.

    It returns a `ModuleOutput`: `features`, the refined map (B, C, H, W), and `extras`, the `mask` (B, C, H, W).

    Example:
        >>> module = ResidualAttentionModule(lambda: MyBlock(256), 256, mask_depth=2)
        >>> refined, extras = module(torch.randn(2, 256, 28, 28))
        >>> refined.shape, extras["mask"].shape
        (torch.Size([2, 256, 28, 28]), torch.Size([2, 256, 28, 28]))

    Args:
        make_block: Builds a fresh block that maps (B, C, H, W) to the same shape.
        channels: C.
        p: Blocks before the two branches, and after them.
        t: Blocks of the trunk.
        r: Blocks of the mask at each resolution.
        mask: `encoder_decoder`, or `local`: three blocks without pooling (table 4).
        mask_depth: Poolings d of an encoder-decoder mask.
        activation: `mixed`, `channel` or `spatial` (table 1).
        learning: `residual` or `naive` (table 3).
        preactivated: Whether blocks return a raw sum (He et al., ECCV 2016), so that the mask's last layers begin with
            BN-ReLU.
        sum_norm: `batch`: batch normalisation of H, the joined trunk and mask (ours); `none`; or `auto`: `batch`
            unless `preactivated`.

    Raises:
        OptionError: An option has an invalid value; in the forward pass, a map is too small for `mask_depth`.
    """

    def __init__(
        self,
        make_block: MakeBlock,
        channels: int,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        mask: MaskKind = "encoder_decoder",
        mask_depth: int = 3,
        activation: Activation = "mixed",
        learning: Learning = "residual",
        preactivated: bool = True,
        sum_norm: SumNormOption = "auto",
    ) -> None:
        super().__init__()
        check_module_options(p, t, r, mask, activation, learning, sum_norm)
        require(mask_depth >= 1, "mask_depth", mask_depth, "must be at least 1")
        local = mask == "local"
        branch = chain(make_block, LOCAL_BLOCKS) if local else EncoderDecoder(make_block, mask_depth, r)
        built_mask = Mask(branch, channels, activation, preactivated)
        self.pre, self.trunk = chain(make_block, p), chain(make_block, t)
        self.mask = built_mask
        normalised = choose_sum_norm(sum_norm, preactivated) == "batch"
        self.norm = BatchNorm2d(channels) if normalised else nn.Identity()
        self.post = chain(make_block, p)
        self.learning = learning

    def forward(self, x: Tensor) -> ModuleOutput:
        x = self.pre(x)
        mask = self.mask(x)
        joined = LEARNING[self.learning](mask, self.trunk(x))
        return ModuleOutput(self.post(self.norm(joined)), {"mask": mask})


def choose_sum_norm(sum_norm: SumNormOption, preactivated: bool) -> SumNorm:
    """Resolve `sum_norm=auto`: blocks that are not pre-activated do not normalise what they are given."""
    if sum_norm == "auto":
        return "none" if preactivated else "batch"
    return sum_norm


def check_module_options(
    p: int, t: int, r: int, mask: MaskKind, activation: Activation, learning: Learning, sum_norm: SumNormOption
) -> None:
    """Raise `OptionError` for an option of a module that has an invalid value."""
    require_literal("mask", mask, MaskKind)
    require_literal("activation", activation, Activation)
    require_literal("learning", learning, Learning)
    require_literal("sum_norm", sum_norm, SumNormOption)
    for key, blocks in (("p", p), ("t", t), ("r", r)):
        require(blocks >= 1, key, blocks, "must be at least 1")
