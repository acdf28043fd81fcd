"""Detectors: one of torchvision's on a backbone of ours, into which an attention has inserted its modules.

The backbone's maps are read where its stages end, after what an attention inserted there. Transform, anchors, heads,
losses and the selection of boxes are torchvision's own classes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from attnbench.attention.base import Attention, Output
from attnbench.backbones.base import Backbone
from attnbench.classifier import Network
from attnbench.detection.pyramid import faster_rcnn, retinanet, run_faster_rcnn
from attnbench.detection.single_shot import ssd, ssdlite
from attnbench.detection.stage_maps import DetectorOptions

Detections = list[dict[str, Tensor]]
"""Of each image: `boxes` (M, 4), `labels` (M,) from 1, `scores` (M,), as torchvision returns them."""


def run_head(model: Any, maps: dict[str, Tensor]) -> None:
    """Run the head of a detector of one stage."""
    model.head(list(maps.values()))


@dataclass(frozen=True)
class Family:
    """One of torchvision's detectors.

    Attributes:
        build: builds it on a backbone. Raises `UserError` for one that it cannot read.
        heads: paths of the modules that compute predictions from the backbone's maps.
        anchor_scale: torchvision's.
        run_heads: runs its heads on the levels that are made of the backbone's maps.
        divisor: sides of batches are multiples of it.
    """

    build: Callable[[Backbone, DetectorOptions], nn.Module]
    heads: tuple[str, ...]
    anchor_scale: float
    run_heads: Callable[[Any, dict[str, Tensor]], None] = run_head
    divisor: int = 32


TWO_STAGES = ("backbone.fpn", "rpn.head", "roi_heads.box_head", "roi_heads.box_predictor")
SINGLE_SHOT = ("backbone.first", "backbone.extra", "head")
FAMILIES = {
    "faster_rcnn": Family(faster_rcnn, TWO_STAGES, anchor_scale=8.0, run_heads=run_faster_rcnn),
    "retinanet": Family(retinanet, ("backbone.fpn", "head"), anchor_scale=4.0),
    "ssd": Family(ssd, SINGLE_SHOT, anchor_scale=2.625, divisor=1),  # 0.07 of 300 pixels, in steps of 8
    "ssdlite": Family(ssdlite, SINGLE_SHOT, anchor_scale=4.0, divisor=1),  # 0.2 of 320 pixels, in steps of 16
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
        UserError: the detector cannot read the backbone.
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
        return [f"model.{path}" for path in self.family.heads]

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        for norm in self.frozen_norms:
            norm.eval()
        return self

    def compute_in(self, bf16: bool) -> None:
        """Choose whether the backbone and the levels made of its maps compute in bfloat16."""
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
            self.family.run_heads(self.model, self.model.backbone(padded(images, self.family.divisor)))
            return None
        return self.model(images, targets)

    def output(self, x: Tensor) -> Output:
        """Return the backbone's features of normalised images (B, C, H, W), for attention maps; logits are (B, 0)."""
        features = self.backbone.features(x)
        return Output(features.final.new_empty(len(x), 0), features, {})


def padded(images: Tensor, divisor: int) -> Tensor:
    """Pad images (B, C, H, W) to sides that a number divides, as torchvision's transform does."""
    height, width = images.shape[-2:]
    return nn.functional.pad(images, (0, -width % divisor, 0, -height % divisor))


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
            "the stages of this backbone end in sums that are neither normalised nor activated, which a "
            "detector cannot read; take one without pre-activation, such as resnet50"
        )
