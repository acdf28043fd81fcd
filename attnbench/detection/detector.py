"""Detectors: one of torchvision's on a backbone of ours, into which an attention has inserted its modules.

The backbone's maps are read where its stages end, after what an attention inserted there, and go through torchvision's
feature pyramid. Transform, anchors, heads, losses and the selection of boxes are torchvision's own classes.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
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

from attnbench.attention.base import Attention, Output, Tap
from attnbench.backbones.base import Backbone
from attnbench.classifier import Network

Detections = list[dict[str, Tensor]]
"""Of each image: `boxes` (M, 4), `labels` (M,) from 1, `scores` (M,), as torchvision returns them."""
TAP = "detection"
"""The name under which a stage's end is read."""
RATIOS = (0.5, 1.0, 2.0)
"""Heights of anchors over their widths."""
OCTAVES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
"""Sizes of RetinaNet's anchors at one level, as multiples (Lin et al., ICCV 2017, section 4)."""
DIVISOR = 32
"""Sides of batches are multiples of it."""


@dataclass(frozen=True)
class DetectorOptions:
    """Size of a detector.

    Attributes:
        classes: number of classes, without the background.
        mean: of each channel of images, for values in [0, 1].
        std: likewise.
        min_size: length in pixels to which the shorter side of images is resized.
        max_size: the longest side.
        channels: of the feature pyramid and the heads; torchvision has 256.
        anchor_scale: side of the anchors at a level, in steps of its map.
        head_norm: whether feature pyramid and heads have group normalisation, which training from scratch needs (He et
            al., "Rethinking ImageNet Pre-training", ICCV 2019).
        freeze_norms: whether batch normalisation of the backbone's own layers keeps weights and statistics.
    """

    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min_size: int
    max_size: int
    channels: int
    anchor_scale: float
    head_norm: bool
    freeze_norms: bool

    @property
    def norm_layer(self) -> Callable[[int], nn.Module] | None:
        """What builds the normalisation of so many channels, in groups of eight as torchvision has them; or None."""
        return partial(nn.GroupNorm, max(1, self.channels // 8)) if self.head_norm else None

    @property
    def transform(self) -> dict[str, Any]:
        """What torchvision's transform of images is told."""
        return {
            "min_size": self.min_size,
            "max_size": self.max_size,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
        }


class Pyramid(nn.Module):
    """A backbone and its feature pyramid: images (B, C, H, W) to maps by the level's name.

    Args:
        body: the backbone.
        stages: whose ends are the pyramid's lateral inputs, fine to coarse.
        options: of the detector.
        extra: makes further, coarser levels.

    Attributes:
        out_channels: of all levels, as torchvision asks for.
        bf16: whether the backbone and the pyramid compute in bfloat16. Heads never do: boxes need more digits.
    """

    def __init__(self, body: Backbone, stages: Sequence[str], options: DetectorOptions, extra: ExtraFPNBlock) -> None:
        super().__init__()
        self.body, self.points = body, [f"{stage}.out" for stage in stages]
        self.out_channels, self.bf16 = options.channels, False
        for point in self.points:
            body.insert(point, Tap(), TAP)
        widths = [body.points[point].channels for point in self.points]
        self.fpn = FeaturePyramidNetwork(widths, options.channels, extra, options.norm_layer)

    @property
    def strides(self) -> list[int]:
        """Image pixels per pixel of the maps that come from the backbone."""
        return [self.body.points[point].stride for point in self.points]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        with torch.autocast(x.device.type, dtype=torch.bfloat16) if self.bf16 else nullcontext():
            taps = self.body.features(x).taps
            maps = OrderedDict((str(place), taps[f"{point}/{TAP}/map"]) for place, point in enumerate(self.points))
            levels = self.fpn(maps)
        return OrderedDict((name, level.float()) for name, level in levels.items())


def anchors(pyramid: Pyramid, options: DetectorOptions, further: int, octaves: Sequence[float]) -> AnchorGenerator:
    """Build the anchors of a pyramid with a number of further levels, each of twice the stride of the one before."""
    strides = pyramid.strides
    strides += [strides[-1] * 2**step for step in range(1, further + 1)]
    sizes = tuple(tuple(int(options.anchor_scale * stride * octave) for octave in octaves) for stride in strides)
    return AnchorGenerator(sizes, (RATIOS,) * len(sizes))


def faster_rcnn(body: Backbone, options: DetectorOptions) -> FasterRCNN:
    """Build Faster R-CNN with a feature pyramid (Lin et al., CVPR 2017) as torchvision does, on all of four stages."""
    pyramid = Pyramid(body, body.stages[-4:], options, LastLevelMaxPool())
    names = [str(place) for place in range(len(pyramid.points))]
    pool = MultiScaleRoIAlign(featmap_names=names, output_size=7, sampling_ratio=2)
    hidden = 4 * options.channels
    return FasterRCNN(
        pyramid,
        rpn_anchor_generator=anchors(pyramid, options, further=1, octaves=(1.0,)),
        box_roi_pool=pool,
        box_head=TwoMLPHead(options.channels * 7**2, hidden),
        box_predictor=FastRCNNPredictor(hidden, options.classes + 1),
        **options.transform,
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
    return RetinaNet(pyramid, options.classes + 1, anchor_generator=generator, head=head, **options.transform)


def run_retinanet(model: RetinaNet, maps: dict[str, Tensor]) -> None:
    """Run the heads."""
    model.head(list(maps.values()))


@dataclass(frozen=True)
class Family:
    """One of torchvision's detectors.

    Attributes:
        build: builds it on a backbone.
        run_heads: runs its heads on the maps of a pyramid.
        heads: paths of the modules that compute predictions from the backbone's maps.
        anchor_scale: torchvision's.
    """

    build: Callable[[Backbone, DetectorOptions], nn.Module]
    run_heads: Callable[[Any, dict[str, Tensor]], None]
    heads: tuple[str, ...]
    anchor_scale: float


FAMILIES = {
    "faster_rcnn": Family(
        faster_rcnn, run_faster_rcnn, ("rpn.head", "roi_heads.box_head", "roi_heads.box_predictor"), anchor_scale=8.0
    ),
    "retinanet": Family(retinanet, run_retinanet, ("head",), anchor_scale=4.0),
}


class Detector(Network):
    """A detector, for training and evaluation.

    Args:
        backbone: the plain network; the attention inserts its modules into it. Its classifier is removed.
        attention: attached here, once.
        family: the name of torchvision's detector.
        options: its size.

    Raises:
        OptionError: an option of the attention does not fit the backbone.
        NotImplementedError: the backbone lacks the points or blocks that the attention needs, or the attention needs
            the classifier.
    """

    backbone_path: ClassVar[str] = "model.backbone.body"

    def __init__(self, backbone: Backbone, attention: Attention, family: str, options: DetectorOptions) -> None:
        super().__init__()
        require_stages(backbone, attention)
        attention.attach(backbone)
        backbone.remove_classifier()
        self.family, self.options = FAMILIES[family], options
        self.model: Any = self.family.build(backbone, options)
        self.attention = attention
        self.frozen_norms = tuple(norms_of(self)) if options.freeze_norms else ()
        for norm in self.frozen_norms:
            norm.requires_grad_(False)

    @property
    def backbone(self) -> Backbone:  # type: ignore[override]  # torchvision's detector owns it
        """The backbone, with what the attention inserted."""
        found = self.model.backbone.body
        assert isinstance(found, Backbone)
        return found

    @property
    def head_paths(self) -> list[str]:
        return ["model.backbone.fpn", *(f"model.{path}" for path in self.family.heads)]

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def compute_in(self, bf16: bool) -> None:
        """Choose whether backbone and pyramid compute in bfloat16."""
        self.model.backbone.bf16 = bf16

    def forward(self, images: Any, targets: Any = None) -> Any:
        """Detect objects.

        Args:
            images: (C, H, W) of each image, with values in [0, 1]; they may differ in size.
            targets: in training, `boxes` (M, 4) and `labels` (M,), from 1, of each image.

        Returns:
            In training, the terms of the loss by name; otherwise `Detections`. On the meta device, where there are no
            values to choose boxes by, images are one tensor (B, C, H, W), the layers alone run, and None is returned.
        """
        if isinstance(images, Tensor):
            self.family.run_heads(self.model, self.model.backbone(padded(images)))
            return None
        return self.model(images, targets)

    def output(self, x: Tensor) -> Output:
        """Return the backbone's features of normalised images (B, C, H, W), for attention maps; logits are (B, 0)."""
        features = self.backbone.features(x)
        return Output(features.final.new_empty(len(x), 0), features, {})


def padded(images: Tensor) -> Tensor:
    """Pad images (B, C, H, W) to sides that `DIVISOR` divides, as torchvision's transform does."""
    height, width = images.shape[-2:]
    return nn.functional.pad(images, (0, -width % DIVISOR, 0, -height % DIVISOR))


def norms_of(net: Network) -> list[nn.Module]:
    """Return the batch normalisations among the backbone's own layers."""
    return [module for module in net.backbone_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def require_stages(backbone: Backbone, attention: Attention) -> None:
    """Raise unless a detector can read the backbone's stages, and the attention leaves them to it."""
    kind = type(attention)
    if kind.classify is not Attention.classify or kind.losses is not Attention.losses:
        raise NotImplementedError(
            "it makes predictions of classes itself, and in a detector the heads of torchvision do that; "
            "attention within or between stages, such as bam, cbam, se or residual, can be detected with"
        )
    if backbone.preactivated:
        raise NotImplementedError(
            "the stages of this backbone end in sums that are neither normalised nor activated, which a feature "
            "pyramid cannot read; take one without pre-activation, such as resnet50"
        )
