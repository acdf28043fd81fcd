"""Residual attention: Wang et al., "Residual Attention Network for Image Classification", CVPR 2017, arXiv 1704.06904.

A module splits the output x of p blocks into a trunk T(x) of t blocks and a mask M(x), and joins them before p more:

    H = M(x) * T(x)              eq. 1, naive attention learning (`learning=naive`)
    H = (1 + M(x)) * T(x)        eq. 3, attention residual learning
    M = sigmoid(u)               eq. 4, mixed attention; u is what the mask branch ends with
    M_i = u_i / |u_i|            eq. 5, channel attention: L2 norm over the channels at each position i, no sigmoid
    M_c = sigmoid((u_c - mean(u_c)) / std(u_c))      eq. 6, spatial attention: moments over the positions

The mask branch (figure 2) pools d times; r blocks follow each pooling, 2r the last. Then, d - 1 times, it resizes to
the next larger map, adds what one skip block makes of that map, and runs r blocks. It resizes to x's size and ends with
BN-ReLU-1x1, BN-ReLU-1x1, both as wide as the trunk. d is 3, 2, 1 in stages 1, 2, 3 (table 2: down to 7x7). A mask of
post-activation blocks, whose output a ReLU has passed, ends with 1x1-BN-ReLU, 1x1: so do the released AttentionNeXt
files, and so do, here, masks on every backbone that is not pre-activated (resnet20, resnext29_8x64d, ...).

The released code (fwang91/residual-attention-network, 2017-07-21) is Caffe files of the ImageNet networks, none for
CIFAR. It has figure 2's layers, so there is no `variant`. What the paper leaves open is as it has it: 3x3 max pooling
with stride 2, no padding, sizes rounded up; bilinear interpolation aligned at the corners; convolutions without bias.
It departs from the paper in one number: its Attention-92 has 52,466,344 parameters, where table 2 prints 51.3 M.

The authors' `Interp` layer has two inputs, and takes only the size of the second. Many ports add it (the trunk, or the
map before pooling): identity paths that figure 2 has not and that no parameter count shows. There are none here.

Ours, as the paper does not tell: eq. 6 takes its moments per image (population variance) and adds 1e-5 to the variance;
eq. 5 divides by at least 1e-12; modules stand at a stage's end, after both of its blocks on CIFAR. Local masks have the
three blocks of section 4.1 and the same last layers; they do not have "the same number of FLOPs", as printed there.
Attention-452 has 10.2 M parameters by the paper's own p, t, r; table 6 prints 8.6 M.

The paper's networks normalise before they classify. Post-activation networks whose shortcuts are identities (resnet20
to resnet110) do not, and as M begins near 1/2 each module makes their features half as large again: learning rates that
suit them without modules are too high then. Use a pre-activation network, or clip gradients (`recipe.clip_norm=1`).
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnbench.attention.base import Attention, ModuleOutput, Output
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import conv1x1, initialise
from attnbench.errors import require, require_choice

LOCAL_BLOCKS = 3
NAME = "residual"

MakeBlock = Callable[[], nn.Module]


def mixed(u: Tensor) -> Tensor:
    """Eq. 4: a gate (B, C, H, W) in (0, 1) for each channel and position."""
    return torch.sigmoid(u)


def channel(u: Tensor) -> Tensor:
    """Eq. 5: each position's channels as a unit vector; values lie in [-1, 1]."""
    return F.normalize(u, dim=1, eps=1e-12)


def spatial(u: Tensor) -> Tensor:
    """Eq. 6: each channel of each image normalised over its positions, then a gate in (0, 1)."""
    variance, mean = torch.var_mean(u, (2, 3), correction=0, keepdim=True)
    return torch.sigmoid((u - mean) * (variance + 1e-5).rsqrt())


def residual(mask: Tensor, trunk: Tensor) -> Tensor:
    """Eq. 3."""
    return (1 + mask) * trunk


def naive(mask: Tensor, trunk: Tensor) -> Tensor:
    """Eq. 1."""
    return mask * trunk


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"mixed": mixed, "channel": channel, "spatial": spatial}
LEARNING: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"residual": residual, "naive": naive}


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Interpolate (B, C, h, w) bilinearly, corners on corners, to the size of `like` (B, *, H, W)."""
    return F.interpolate(x, like.shape[2:], mode="bilinear", align_corners=True)


def require_room(depth: int, height: int, width: int) -> None:
    """Raise `OptionError` for a map that `depth` poolings leave nothing of; each halves its sides, rounding down."""
    require(min(height, width) >> depth > 0, "mask_depth", depth, f"too many poolings for a map of {height}x{width}")


def chain(make_block: MakeBlock, blocks: int) -> nn.Sequential:
    """Blocks that follow one another."""
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
        u, kept = x, []
        for blocks in self.down:
            u = blocks(F.max_pool2d(u, 3, stride=2, ceil_mode=True))
            kept.append(u)
        kept.pop()
        for skip, blocks in zip(self.skip, self.up, strict=True):
            larger = kept.pop()
            u = blocks(resize(u, larger) + skip(larger))
        return resize(u, x)


class Mask(nn.Sequential):
    """The mask M of (B, C, H, W): a branch of blocks, two 1x1 convolutions, the activation.

    preactivated: whether the branch puts out a raw sum, so that BN-ReLU precede each of the convolutions.
    """

    def __init__(self, branch: nn.Module, channels: int, activation: str, preactivated: bool) -> None:
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


class AttentionModule(nn.Module):
    """One module: maps (B, C, H, W) to the same shape and hands on its mask."""

    def __init__(self, make_block: MakeBlock, p: int, t: int, mask: Mask, learning: str) -> None:
        super().__init__()
        self.pre, self.trunk = chain(make_block, p), chain(make_block, t)
        self.mask = mask
        self.post = chain(make_block, p)
        self.learning = learning

    def forward(self, x: Tensor) -> ModuleOutput:
        x = self.pre(x)
        mask = self.mask(x)
        return ModuleOutput(self.post(LEARNING[self.learning](mask, self.trunk(x))), {"mask": mask})


class ResidualAttention(Attention):
    """Attention modules at the end of a backbone's stages, built of the backbone's own blocks.

    modules: modules at each stage that `mask_depth` names, or a list of one number a stage (0 for none). p, t, r:
    blocks before and after the branches, of the trunk, and at each resolution of the mask: 1, 2, 1, or 2, 4, 3 in
    Attention-452. mask: `encoder_decoder`, or `local` (table 4: three blocks without pooling). mask_depth: poolings d
    of the masks of stage 1, 2, …; further stages have no modules. activation: `mixed`, `channel` or `spatial`
    (table 1). learning: `residual` (ARL) or `naive` (NAL; table 3).
    """

    def __init__(
        self,
        modules: int | Sequence[int] = 1,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        mask: str = "encoder_decoder",
        mask_depth: Sequence[int] = (3, 2, 1),
        activation: str = "mixed",
        learning: str = "residual",
    ) -> None:
        super().__init__()
        require_choice("mask", mask, ("encoder_decoder", "local"))
        require_choice("activation", activation, tuple(ACTIVATIONS))
        require_choice("learning", learning, tuple(LEARNING))
        for key, blocks in (("p", p), ("t", t), ("r", r)):
            require(blocks >= 1, key, blocks, "must be at least 1")
        sound = len(mask_depth) > 0 and min(mask_depth) >= 1
        require(sound, "mask_depth", mask_depth, "must be a list of positive numbers, one a stage")
        counts = [modules] * len(mask_depth) if isinstance(modules, int) else list(modules)
        fits = len(counts) == len(mask_depth)
        require(fits, "modules", modules, f"must be one number, or {len(mask_depth)} as in mask_depth={mask_depth}")
        require(min(counts) >= 0 < max(counts), "modules", modules, "must not be negative, nor zero everywhere")
        self.p, self.t, self.r = p, t, r
        self.mask, self.activation, self.learning = mask, activation, learning
        self.stages = list(zip(counts, mask_depth, strict=True))

    def attach(self, backbone: Backbone) -> None:
        depths, there = [depth for _, depth in self.stages], len(backbone.stages)
        require(len(depths) <= there, "mask_depth", depths, f"names {len(depths)} stages of the backbone's {there}")
        for stage, (modules, depth) in zip(backbone.stages, self.stages, strict=False):
            if backbone.image_size and modules and self.mask == "encoder_decoder":
                side = math.ceil(backbone.image_size / backbone.points[f"{stage}.out"].stride)
                require_room(depth, side, side)
            for index in range(modules):
                backbone.insert(f"{stage}.out", self._module(backbone, stage, depth), f"{NAME}{index}")

    def _module(self, backbone: Backbone, stage: str, depth: int) -> AttentionModule:
        def make_block() -> nn.Module:
            return backbone.make_block(stage)

        local = self.mask == "local"
        branch = chain(make_block, LOCAL_BLOCKS) if local else EncoderDecoder(make_block, depth, self.r)
        mask = Mask(branch, backbone.points[f"{stage}.out"].channels, self.activation, backbone.preactivated)
        return AttentionModule(make_block, self.p, self.t, mask, self.learning)

    def maps(self, output: Output) -> dict[str, Tensor]:
        """The masks M (B, C, H, W), by stage and module: `stage1.module0`."""
        found: dict[str, Tensor] = {}
        for key, value in output.features.taps.items():
            point, module, _ = key.rsplit("/", 2)
            if module.startswith(NAME):
                found[f"{point.removesuffix('.out')}.module{module.removeprefix(NAME)}"] = value
        return found
