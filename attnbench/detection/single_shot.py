"""SSD and SSDLite: torchvision's, on the last two stages of a backbone and on further levels.

SSD: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, on VGG. Its levels are conv4_3, normalised over
channels; fc7, the dilated convolution that VGG's hidden layers are turned into, behind conv5_3; and further ones.
SSDLite: Sandler et al., "MobileNetV2", CVPR 2018, section 6.2, with depthwise convolutions in levels and heads.

Further levels are added until a map has one pixel, so there are six at torchvision's image sizes (300 and 320) and four
at 64 pixels. Each map has half the side of the one before; SSD's maps of 5 and 3 pixels lose two. The first level's
boxes have a side of `anchor_scale` steps of its map, and the last one's are about as large as the image; in between,
sides grow evenly.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD, SSDHead, _xavier_init
from torchvision.models.detection.ssdlite import SSDLiteHead, _extra_block, _normal_init

from attnbench.backbones.base import Backbone, Point
from attnbench.backbones.layers import BatchNorm2d
from attnbench.backbones.vgg import VGG
from attnbench.detection.stage_maps import DetectorOptions, StageMaps
from attnbench.errors import UserError

SCALE = 20.0
"""What SSD's normalised map is multiplied by at first (Liu et al., section 3.1)."""
DILATION = 6
"""Of fc6, on the map of 19 pixels that 300 pixels leave; a third of a smaller map."""
UNPADDED = (3, 5)
"""Sides in pixels of SSD's maps from which a convolution without padding makes the next."""
SSD_SECOND, SSD_LAST = 0.15 / 0.07, 1.05
"""Side of SSD's boxes at the second level, of the first's; and of those that would follow the last, of the image's."""
SSDLITE_CHANNELS, SSDLITE_LEAST, SSDLITE_LAST = (1 / 2, 1 / 4, 1 / 4, 1 / 8), 16, 0.95
"""Channels of SSDLite's further levels, of the last stage's; the least; and side of the last boxes, of the image's."""
SSDLITE_SELECTION = {"score_thresh": 0.001, "nms_thresh": 0.55, "detections_per_img": 300, "topk_candidates": 300}
"""How torchvision's SSDLite selects boxes."""
ssdlite_norm = partial(BatchNorm2d, eps=0.001, momentum=0.03)
"""Batch normalisation of SSDLite's own layers, as torchvision has it; a batch of one at one pixel passes."""


class Rescaled(nn.Module):
    """Normalise (B, C, H, W) over channels, and scale each by a factor that is learnt."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale_weight = nn.Parameter(torch.full((channels,), SCALE))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale_weight.view(1, -1, 1, 1) * F.normalize(x)


class Levels(StageMaps):
    """A backbone, and the levels of a single-shot detector.

    Args:
        body: the backbone, whose last two stages are read.
        first: makes the first level of the last stage but one.
        extra: the first makes the second level of the last stage; each other one the next level of the one before.
    """

    def __init__(self, body: Backbone, first: nn.Module, extra: Iterable[nn.Module]) -> None:
        super().__init__(body, body.stages[-2:])
        self.first, self.extra = first, nn.ModuleList(extra)

    def levels(self, maps: list[Tensor]) -> "OrderedDict[str, Tensor]":
        fine, x = maps
        found = [self.first(fine)]
        for layers in self.extra:
            x = layers(x)
            found.append(x)
        return OrderedDict((str(place), level) for place, level in enumerate(found))


def ssd(body: Backbone, options: DetectorOptions) -> SSD:
    """Build SSD as torchvision's `ssd300_vgg16`. Raises `UserError` for a backbone other than VGG."""
    if not isinstance(body, VGG):
        raise UserError(
            "task.detector=ssd: is made for VGG, such as backbone=vgg16 or vgg16_bn; "
            "ssdlite, retinanet and faster_rcnn read other backbones too"
        )
    body.pooling.ceil_mode = True  # torchvision does so where 300 pixels leave an odd side
    fine, last = ends_of(body)
    sides = sides_below(-(-options.min_size // last.stride))
    channels = [2 * last.channels, last.channels, *[last.channels // 2] * len(sides)][: len(sides)]
    extra = nn.ModuleList([converted_head(last.channels, channels[0], sides[0])])
    extra.extend(ssd_block(*shape) for shape in zip(channels, channels[1:], sides, strict=False))
    _xavier_init(extra)
    boxes = ssd_boxes(smallest_boxes(fine, options), steps_of(fine, last, sides, options.min_size))
    head = SSDHead([fine.channels, *channels], boxes.num_anchors_per_location(), options.classes + 1)
    return single_shot(Levels(body, Rescaled(fine.channels), extra), boxes, head, options)


def ssdlite(body: Backbone, options: DetectorOptions) -> SSD:
    """Build SSDLite as torchvision's `ssdlite320_mobilenet_v3_large`, on the last two stages of any backbone."""
    fine, last = ends_of(body)
    side = -(-options.min_size // last.stride)
    count = (side - 1).bit_length()  # of halvings that leave one pixel
    parts = [*SSDLITE_CHANNELS, *SSDLITE_CHANNELS[-1:] * count][:count]
    channels = [last.channels, *(max(SSDLITE_LEAST, int(part * last.channels)) for part in parts)]
    extra = nn.ModuleList(_extra_block(*pair, ssdlite_norm) for pair in pairwise(channels))
    _normal_init(extra)
    first = smallest_boxes(fine, options)
    boxes = DefaultBoxGenerator([[2, 3]] * (count + 2), min_ratio=first, max_ratio=SSDLITE_LAST)
    widths, kinds = [fine.channels, *channels], boxes.num_anchors_per_location()
    head = SSDLiteHead(widths, kinds, options.classes + 1, ssdlite_norm)
    levels = Levels(body, nn.Identity(), [nn.Identity(), *extra])
    return single_shot(levels, boxes, head, options, **SSDLITE_SELECTION)


def single_shot(
    levels: Levels, boxes: DefaultBoxGenerator, head: nn.Module, options: DetectorOptions, **selection: Any
) -> SSD:
    """Put a single-shot detector together; images are resized to squares."""
    size = (options.min_size, options.min_size)
    return SSD(levels, boxes, size, options.classes + 1, head=head, **options.normalisation, **selection)


def ends_of(body: Backbone) -> list[Point]:
    """Return the ends of the last two stages. Raises `UserError` if there is one only."""
    if len(body.stages) < 2:
        raise UserError("task.detector: SSD and SSDLite read the last two stages, and this backbone has one")
    return [body.points[f"{stage}.out"] for stage in body.stages[-2:]]


def smallest_boxes(fine: Point, options: DetectorOptions) -> float:
    """Return the side of the first level's boxes, of the image's. Raises `UserError` if it is above a half."""
    side = options.anchor_scale * fine.stride / options.min_size
    if side > 0.5:
        raise UserError(
            f"task.anchor_scale={options.anchor_scale:g}: the smallest boxes would be larger than half the image; "
            f"up to {0.5 * options.min_size / fine.stride:g} fits steps of {fine.stride} pixels"
        )
    return side


def sides_below(side: int) -> list[int]:
    """Return the sides of SSD's second level and of the further ones, down to one pixel."""
    sides = [side]
    while sides[-1] > 1:
        sides.append(sides[-1] - 2 if sides[-1] in UNPADDED else -(-sides[-1] // 2))
    return sides


def steps_of(fine: Point, last: Point, sides: Sequence[int], size: int) -> list[float]:
    """Return the distance in pixels between the boxes of each of SSD's levels, as the paper's code has it."""
    steps: list[float] = [fine.stride, last.stride]
    for before, after in pairwise(sides):
        steps.append(size / after if before in UNPADDED else 2 * steps[-1])
    return steps


def ssd_boxes(first: float, steps: list[float]) -> DefaultBoxGenerator:
    """Build SSD's boxes, the smallest of a side `first`; three levels have fewer shapes, as in the paper."""
    levels = len(steps)
    sides = np.linspace(SSD_SECOND * first, SSD_LAST, levels).tolist()
    ratios = [[2], *[[2, 3]] * (levels - 3), [2], [2]][:levels]
    return DefaultBoxGenerator(ratios, scales=[first, *sides], steps=steps)


def converted_head(inputs: int, channels: int, side: int) -> nn.Sequential:
    """Build VGG's fifth pooling and hidden layers as convolutions (Liu et al., section 3.1)."""
    dilation = max(1, min(DILATION, side // 3))
    return nn.Sequential(
        nn.MaxPool2d(3, stride=1, padding=1),
        nn.Conv2d(inputs, channels, 3, padding=dilation, dilation=dilation),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(inplace=True),
    )


def ssd_block(inputs: int, channels: int, side: int) -> nn.Sequential:
    """Build the layers from a level of a side in pixels to the next."""
    stride, padding = (1, 0) if side in UNPADDED else (2, 1)
    return nn.Sequential(
        nn.Conv2d(inputs, channels // 2, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels // 2, channels, 3, stride, padding),
        nn.ReLU(inplace=True),
    )
