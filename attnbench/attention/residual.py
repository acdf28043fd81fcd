"""Residual attention: Wang, Jiang, Qian, Yang, Li, Zhang, Wang, Tang, "Residual Attention Network for Image
Classification", CVPR 2017, arXiv 1704.06904.

A module applies p blocks, splits their output x into a trunk T(x) of t blocks and a mask M(x), joins the two, and
applies p more blocks:

    H = M(x) * T(x)                                  eq. 1, naive attention learning (`learning=naive`)
    H = (1 + M(x)) * T(x)                            eq. 3, attention residual learning
    M = sigmoid(u)                                   eq. 4, mixed attention; u is the output of the mask branch
    M_i = u_i / |u_i|                                eq. 5, channel attention: L2 norm over channels at position i
    M_c = sigmoid((u_c - mean(u_c)) / std(u_c))      eq. 6, spatial attention: moments over positions

The mask branch (figure 2) pools d times; r blocks follow each pooling, 2r the last. Then, d - 1 times, it resizes to
the next larger map, adds one skip block's output of that map, and applies r blocks. It resizes to the size of x and
ends with BN-ReLU-1x1, BN-ReLU-1x1, both as wide as the trunk. Masks of post-activation blocks, whose output a ReLU has
passed, end with 1x1-BN-ReLU, 1x1 instead, as in the released AttentionNeXt files; so do, here, masks on every backbone
that is not pre-activated (resnet20, resnext29_8x64d, ...).

Defaults: p = 1, t = 2, r = 1, one module in each of the first three stages, d = 3, 2, 1 (table 2: down to 7x7).

Paper vs official (fwang91/residual-attention-network, 2017-07-21): the release is Caffe files of the ImageNet networks
and has figure 2's layers, so there is no option `variant`. Details that the paper leaves open follow it: 3x3 max
pooling with stride 2, no padding, sizes rounded up; bilinear interpolation aligned at the corners; convolutions without
bias. The stems of its networks pool in the same way (`backbone.stem_pool=ceil`, set by the ImageNet experiments). Its
Attention-92 has 52,466,344 parameters, where table 2 prints 51.3 M.

The release's `Interp` layer has two inputs, and takes only the size of the second. Many ports add it (the trunk, or the
map before pooling), which makes identity paths that figure 2 does not have and that no parameter count shows. There are
none here.

Deviations, where the paper is silent:

- the paper draws weights "following" He et al. (2015) and does not say by which fan; the release, files for inference,
  has no initial values. Here, all convolutions are drawn by fan-out, as in the backbones (Caffe's filler of that name
  takes fan-in unless told otherwise), and the classifier as PyTorch does;
- eq. 6 takes its moments per image (population variance) and adds 1e-5 to the variance; eq. 5 divides by at least
  1e-12;
- on CIFAR, modules stand at a stage's end, after both of its blocks;
- local masks (table 4) have the three blocks of section 4.1 and the same last layers; they do not have "the same
  number of FLOPs", as printed there;
- Attention-452 has 10.2 M parameters by the paper's own p, t, r; table 6 prints 8.6 M.

Ours, on post-activation backbones (`sum_norm`): batch normalisation of H, before the last p blocks of each module. The
paper's networks normalise each sum where the next block reads it, and the last one before the classifier.
Post-activation networks whose shortcuts are identities (resnet20 to resnet110) do neither, and as M begins near 1/2,
each module multiplies their features by about 1.5, on top of the growth by its blocks: cross-entropy then starts far
above log L (62 on resnet56 with three modules a stage) and learning rates that suit the plain network are too high.
With `learning=naive` the normalisation also undoes the vanishing responses of figure 4. `sum_norm=none` leaves it out,
as do pre-activation backbones and the experiments of the paper's own networks (AttentionNeXt and AttentionInception,
whose fourth stage normalises by itself).
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from attnbench.attention.base import Attention, Output
from attnbench.attention.residual_modules import (
    Activation,
    Learning,
    MaskKind,
    ResidualAttentionModule,
    SumNormOption,
    check_module_options,
    require_room,
)
from attnbench.backbones.base import Backbone
from attnbench.errors import require

NAME = "residual"
"""Name of the inserted modules, before their number."""


def modules_by_stage(modules: int | Sequence[int], mask_depth: Sequence[int]) -> list[int]:
    """Return the number of modules of each stage that `mask_depth` names.

    Raises `OptionError` for lists of different lengths, for negative numbers, and if there is no module at all.
    """
    valid = len(mask_depth) > 0 and min(mask_depth) >= 1
    require(valid, "mask_depth", mask_depth, "must be a list of positive numbers, one a stage")
    counts = [modules] * len(mask_depth) if isinstance(modules, int) else list(modules)
    fits = len(counts) == len(mask_depth)
    require(fits, "modules", modules, f"must be one number, or {len(mask_depth)} as in mask_depth={mask_depth}")
    require(min(counts) >= 0 < max(counts), "modules", modules, "must not be negative, nor zero everywhere")
    return counts


class ResidualAttention(Attention):
    """Attention modules at the end of a backbone's stages, built of the backbone's own blocks.

    Args:
        modules: Modules at each stage that `mask_depth` names, or a list of one number a stage (0 for none).
        p: Blocks before the branches, and after them; 2 in Attention-452.
        t: Blocks of the trunk; 4 in Attention-452.
        r: Blocks of the mask at each resolution; 3 in Attention-452.
        mask: `encoder_decoder`, or `local`: three blocks without pooling (table 4).
        mask_depth: Poolings d of the masks of stage 1, 2, ...; further stages have no modules.
        activation: `mixed`, `channel` or `spatial` (table 1).
        learning: `residual` (ARL) or `naive` (NAL; table 3).
        sum_norm: `batch`: batch normalisation of the joined trunk and mask (ours); `none`; or `auto`: `batch` on
            backbones that are not pre-activated.
    """

    def __init__(
        self,
        modules: int | Sequence[int] = 1,
        p: int = 1,
        t: int = 2,
        r: int = 1,
        mask: MaskKind = "encoder_decoder",
        mask_depth: Sequence[int] = (3, 2, 1),
        activation: Activation = "mixed",
        learning: Learning = "residual",
        sum_norm: SumNormOption = "auto",
    ) -> None:
        super().__init__()
        check_module_options(p, t, r, mask, activation, learning, sum_norm)
        counts = modules_by_stage(modules, mask_depth)
        self.p, self.t, self.r = p, t, r
        self.mask, self.activation, self.learning, self.sum_norm = mask, activation, learning, sum_norm
        self.stages = list(zip(counts, mask_depth, strict=True))

    def attach(self, backbone: Backbone) -> None:
        depths, available = [depth for _, depth in self.stages], len(backbone.stages)
        fits = len(depths) <= available
        require(fits, "mask_depth", depths, f"names {len(depths)} stages of the backbone's {available}")
        for stage, (modules, depth) in zip(backbone.stages, self.stages, strict=False):
            if backbone.image_size and modules and self.mask == "encoder_decoder":
                side = math.ceil(backbone.image_size / backbone.points[f"{stage}.out"].stride)
                require_room(depth, side, side)
            for index in range(modules):
                backbone.insert(f"{stage}.out", self._make_module(backbone, stage, depth), f"{NAME}{index}")

    def _make_module(self, backbone: Backbone, stage: str, depth: int) -> ResidualAttentionModule:
        def make_block() -> nn.Module:
            return backbone.make_block(stage)

        channels = backbone.points[f"{stage}.out"].channels
        options = (self.p, self.t, self.r, self.mask, depth, self.activation, self.learning)
        return ResidualAttentionModule(make_block, channels, *options, backbone.preactivated, self.sum_norm)

    def maps(self, output: Output) -> dict[str, Tensor]:
        """Return the masks M (B, C, H, W) by stage and module: `stage1.module0`."""
        masks: dict[str, Tensor] = {}
        for key, value in output.features.taps.items():
            point, module, _ = key.rsplit("/", 2)
            if module.startswith(NAME):
                masks[f"{point.removesuffix('.out')}.module{module.removeprefix(NAME)}"] = value
        return masks
