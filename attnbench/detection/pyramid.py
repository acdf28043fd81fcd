"""Faster R-CNN and RetinaNet: torchvision's, on the feature pyramid of a backbone's stages."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.feature_pyramid_network import (
    ExtraFPNBlock,
    FeaturePyramidNetwork,
    LastLevelMaxPool,
    LastLevelP6P7,
)

from attnbench.backbones.base import Backbone
from attnbench.detection.stage_maps import DetectorOptions, StageMaps

RATIOS = (0.5, 1.0, 2.0)
"""Heights of anchors over their widths."""
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""Sizes of RetinaNet's anchors at one level, as multiples (Lin et al., ICCV 2017, section 4)."""


class Pyramid(StageMaps):
    """A backbone and its feature pyramid.

    Args:
        body: the backbone.
        stages: whose ends are the pyramid's lateral inputs, fine to coarse.
        options: of the detector.
        extra: makes further, coarser levels.

    Attributes:
        out_channels: of all levels, as torchvision asks for.
    """

    def __init__(self, body: Backbone, stages: Sequence[str], options: DetectorOptions, extra: ExtraFPNBlock) -> None:
        super().__init__(body, stages)
        self.out_channels = options.channels
        self.fpn = FeaturePyramidNetwork(self.widths, options.channels, extra, options.norm_layer)

    def levels(self, maps: list[Tensor]) -> "OrderedDict[str, Tensor]":
        found: OrderedDict[str, Tensor] = self.fpn(OrderedDict((str(place), each) for place, each in enumerate(maps)))
        return found


def anchors(pyramid: Pyramid, options: DetectorOptions, further: int, octaves: Sequence[float]) -> AnchorGenerator:
    """Build the anchors of a pyramid with a number of further levels, each of twice the stride of the one before."""
    strides = pyramid.strides
    strides += [strides[-1] * 2**step for step in range(1, further + 1)]
    sizes = tuple(tuple(int(options.anchor_scale * stride * octave) for octave in octaves) for stride in strides)
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


def faster_rcnn(body: Backbone, options: DetectorOptions) -> FasterRCNN:
    """Build Faster R-CNN with a feature pyramid (Lin et al., CVPR 2017) as torchvision does, on all of four stages."""
    pyramid = Pyramid(body, body.stages[-4:], options, LastLevelMaxPool())
    names = [str(place) for place in range(len(pyramid.paths))]
    pool = MultiScaleRoIAlign(featmap_names=names, output_size=7, sampling_ratio=2)
    hidden = 4 * options.channels
    return FasterRCNN(
        pyramid,
        rpn_anchor_generator=anchors(pyramid, options, further=1, octaves=(1.0,)),
        box_roi_pool=pool,
        box_head=TwoMLPHead(options.channels * 7**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, options.classes + 1),
        min_size=options.min_size,
        max_size=options.max_size,
        **options.normalisation,
    )


def run_faster_rcnn(model: FasterRCNN, maps: dict[str, Tensor]) -> None:
    """Run the heads, the second stage on as many regions as an image may have."""
    model.rpn.head(list(maps.values()))
    regions = model.rpn._post_nms_top_n["testing"]
    pooled = maps["0"].new_empty(regions, model.backbone.out_channels, 7, 7)
    model.roi_heads.box_predictor(model.roi_heads.box_head(pooled))


def retinanet(body: Backbone, options: DetectorOptions) -> RetinaNet:
    """Build RetinaNet (Lin et al., ICCV 2017) as torchvision does, on the last three stages."""
    extra = LastLevelP6P7(options.channels, options.channels)
    pyramid = Pyramid(body, body.stages[-3:], options, extra)
    generator = anchors(pyramid, options, further=2, octaves=OCTAVES)
    kinds = generator.num_anchors_per_location()[0]
    head = RetinaNetHead(options.channels, kinds, options.classes + 1, options.norm_layer)
    return RetinaNet(
        pyramid,
        options.classes + 1,
        anchor_generator=generator,
        head=head,
        min_size=options.min_size,
        max_size=options.max_size,
        **options.normalisation,
    )
