"""Without attention, losses and detections are those of torchvision's own models with the same weights."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import FasterRCNN, RetinaNet
from torchvision.models.detection.backbone_utils import _resnet_fpn_extractor
from torchvision.models.detection.retinanet import _default_anchorgen
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from attnbench.attention.base import Attention
from attnbench.backbones.adapters.torchvision_names import from_torchvision
from attnbench.backbones.resnet import ResNet
from attnbench.detection.detector import FAMILIES, Detector
from attnbench.detection.stage_maps import DetectorOptions

CLASSES, MIN_SIZE, MAX_SIZE = 3, 64, 96
SIZES = {"min_size": MIN_SIZE, "max_size": MAX_SIZE}
BODY = "backbone.body."


def theirs_faster_rcnn() -> nn.Module:
    return FasterRCNN(_resnet_fpn_extractor(resnet18(weights=None), 5), CLASSES + 1, **SIZES)


def theirs_retinanet() -> nn.Module:
    extra = LastLevelP6P7(256, 256)
    body = _resnet_fpn_extractor(resnet18(weights=None), 5, returned_layers=[2, 3, 4], extra_blocks=extra)
    return RetinaNet(body, CLASSES + 1, anchor_generator=_default_anchorgen(), **SIZES)


def ours_of(family: str) -> Detector:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scale = FAMILIES[family].anchor_scale
    options = DetectorOptions(CLASSES, mean, std, MIN_SIZE, MAX_SIZE, 256, scale, head_norm=False, freeze_norms=False)
    return Detector(ResNet(18, CLASSES, image_size=224), Attention(), family, options)


def under_our_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    body = from_torchvision({name.removeprefix(BODY): value for name, value in state.items() if name.startswith(BODY)})
    rest = {f"model.{name}": value for name, value in state.items() if not name.startswith(BODY)}
    return {**{f"model.{BODY}{name}": value for name, value in body.items()}, **rest}


@pytest.mark.parametrize(
    ("family", "build"),
    [
        pytest.param("faster_rcnn", theirs_faster_rcnn, marks=pytest.mark.slow),
        ("retinanet", theirs_retinanet),
    ],
)
def test_losses_and_detections_are_torchvisions(family: str, build: Callable[[], Any]) -> None:
    theirs, ours = build(), ours_of(family)
    ours.load_state_dict(under_our_names(theirs.state_dict()))
    if family == "retinanet":
        theirs.score_thresh = ours.model.score_thresh = 0.0  # fresh weights score 0.01
    assert_same(theirs, ours, [torch.rand(3, 50, 60), torch.rand(3, 64, 48)])


def assert_same(theirs: Any, ours: Detector, images: list[Tensor]) -> None:
    """Compare losses and detections of two detectors with the same weights on two images."""
    boxes = [torch.tensor([[4.0, 5.0, 30.0, 40.0], [20.0, 8.0, 50.0, 28.0]]), torch.tensor([[2.0, 2.0, 40.0, 50.0]])]
    targets = [{"boxes": own, "labels": torch.arange(1, len(own) + 1)} for own in boxes]
    found = []
    for net in (theirs.train(), ours.train()):
        torch.manual_seed(0)  # Faster R-CNN draws which regions it is trained on
        found.append(net(images, targets))
    assert found[0].keys() == found[1].keys()
    for name, loss in found[0].items():
        assert loss.item() == pytest.approx(found[1][name].item(), rel=1e-5)
    with torch.no_grad():
        detected, own = theirs.eval()(images), ours.eval()(images)
    assert sum(len(each["scores"]) for each in own) > 0
    for expected, got in zip(detected, own, strict=True):
        for key in ("boxes", "labels", "scores"):
            assert torch.allclose(expected[key].float(), got[key].float(), atol=1e-3)
