"""SSD and SSDLite: torchvision's own at its image sizes, and how levels and boxes follow from other sizes."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import ssd300_vgg16
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet, SSDLiteHead

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.backbones.mobilenet import MobileNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.vgg import VGG
from attnbench.config.compose import compose
from attnbench.detection.detector import FAMILIES, Detector
from attnbench.detection.single_shot import SSDLITE_SELECTION, ssdlite_norm
from attnbench.detection.stage_maps import DetectorOptions
from attnbench.errors import UserError
from attnbench.explain.probes import slot_at
from attnbench.training.experiment import Experiment
from attnbench.training.plan import plan
from tests.detection.test_parity import assert_same

CLASSES = 3
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]


def detector(family: str, body: Backbone, size: int, scale: float | None = None) -> Detector:
    scale = scale or FAMILIES[family].anchor_scale
    options = DetectorOptions(CLASSES, tuple(MEAN), tuple(STD), size, size, 64, scale, False, freeze_norms=False)
    return Detector(body, Attention(), family, options)


class Strided(nn.Module):
    """MobileNet's last block with a stride, in parts as torchvision's extractor reads one; it has no expansion."""

    use_res_connect = False

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Identity(), layers)


def torchvisions_ssdlite(net: MobileNet) -> SSD:
    """Put a detector of a MobileNet's layers together as torchvision's `ssdlite320_mobilenet_v3_large` does."""
    stages = [[*net.get_submodule(stage).children()][:-1] for stage in net.stages]  # without the slot at the end
    stages[-1][0] = Strided(stages[-1][0])
    chain = nn.Sequential(net.stem, net.stem_block, *(block for stage in stages for block in stage))
    chain[-1].out_channels = 1024  # type: ignore[assignment]
    boxes = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    widths = [512, 1024, 512, 256, 256, 128]
    return SSD(
        SSDLiteFeatureExtractorMobileNet(chain, len(chain) - len(stages[-1]), ssdlite_norm),
        boxes,
        (320, 320),
        CLASSES + 1,
        head=SSDLiteHead(widths, boxes.num_anchors_per_location(), CLASSES + 1, ssdlite_norm),
        image_mean=MEAN,
        image_std=STD,
        **SSDLITE_SELECTION,
    )


def test_ssdlite_is_torchvisions_with_the_layers_of_mobilenet() -> None:
    torch.manual_seed(0)
    ours = detector("ssdlite", MobileNet(CLASSES, image_size=320), 320)
    theirs = torchvisions_ssdlite(ours.backbone)  # type: ignore[arg-type]
    own = {name: value for name, value in ours.model.state_dict().items() if ".body." not in name}
    named = {re.sub(r"extra\.(\d)", lambda m: f"extra.{int(m[1]) - 1}", name): value for name, value in own.items()}
    left = theirs.load_state_dict(named, strict=False)
    assert not left.unexpected_keys and all(name.startswith("backbone.features") for name in left.missing_keys)
    assert_same(theirs, ours, [torch.rand(3, 150, 180), torch.rand(3, 200, 130)])


@pytest.mark.slow
def test_ssd_is_torchvisions_ssd300() -> None:
    torch.manual_seed(0)
    theirs = ssd300_vgg16(weights=None, weights_backbone=None, num_classes=CLASSES + 1, image_mean=MEAN, image_std=STD)
    ours = detector("ssd", VGG(16, CLASSES, image_size=300), 300)
    ours.load_state_dict(under_our_names(theirs.state_dict(), ours.backbone))
    assert_same(theirs, ours, [torch.rand(3, 150, 180), torch.rand(3, 200, 130)])


def under_our_names(state: dict[str, Tensor], body: Backbone) -> dict[str, Tensor]:
    """In torchvision, VGG's last stage is in the first of the extra levels, behind the fourth pooling."""
    found = {}
    for name, value in state.items():
        name = re.sub(r"^backbone\.extra\.0\.([0-6])\.", lambda m: f"backbone.features.{23 + int(m[1])}.", name)
        name = name.replace("backbone.extra.0.7.", "backbone.extra.0.").replace(
            "backbone.scale", "backbone.first.scale"
        )
        if name.startswith("backbone.features"):
            ((own, _),) = body.own_names({name.removeprefix("backbone."): value}).items()
            name = f"backbone.body.{own}"
        found[f"model.{name}"] = value
    return found


@pytest.mark.parametrize(
    ("family", "body", "size", "sides"),
    [
        ("ssd", lambda size: VGG(16, CLASSES, image_size=size, width=8), 300, [38, 19, 10, 5, 3, 1]),
        ("ssd", lambda size: VGG(11, CLASSES, image_size=size, width=8), 64, [8, 4, 2, 1]),
        ("ssd", lambda size: VGG(11, CLASSES, image_size=size, width=8), 16, [2, 1]),
        ("ssdlite", lambda size: MobileNet(CLASSES, image_size=size, alpha=0.25), 320, [20, 10, 5, 3, 2, 1]),
        ("ssdlite", lambda size: MobileNet(CLASSES, image_size=size, alpha=0.25), 64, [8, 4, 2, 1]),
        ("ssdlite", lambda size: ResNet(20, CLASSES, image_size=size), 32, [16, 8, 4, 2, 1]),
    ],
)
def test_levels_go_down_to_one_pixel(family: str, body: Callable[[int], Backbone], size: int, sides: list[int]) -> None:
    net = detector(family, body(size), size, scale=0.5).eval()
    with torch.no_grad():
        maps = net.model.backbone(torch.rand(1, 3, size, size))
        assert [level.shape[-1] for level in maps.values()] == sides
        net([torch.rand(3, size, size)])
    assert net.model.anchor_generator.scales == sorted(net.model.anchor_generator.scales)


def test_boxes_of_ssd300_are_the_papers() -> None:
    boxes = detector("ssd", VGG(11, CLASSES, image_size=300, width=8), 300).model.anchor_generator
    assert boxes.scales == pytest.approx([0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05])
    assert boxes.steps == [8, 16, 32, 64, 100, 300]
    assert boxes.aspect_ratios == [[2], [2, 3], [2, 3], [2, 3], [2], [2]]


@pytest.mark.parametrize("family", ["ssd", "ssdlite"])
def test_a_batch_of_one_image_without_objects_is_trained_on(family: str) -> None:
    body = (
        VGG(11, CLASSES, image_size=64, width=8) if family == "ssd" else MobileNet(CLASSES, image_size=64, alpha=0.25)
    )
    net = detector(family, body, 64, scale=2.0).train()
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    losses = net([torch.rand(3, 64, 64)], [target])
    sum(losses.values()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters() if parameter.grad is not None)


def test_bam_refines_what_ssd_reads() -> None:
    words = ["task=detection", "task.detector=ssd", "backbone=vgg16_bn", "backbone.width=8", "backbone.depth=11"]
    net = Experiment(compose([*words, "attention=bam", "attention.reduction=4"])).blueprint
    assert list(slot_at(net, "stage4.out")) == ["bam", "detection"]


MISTAKES = {
    "a backbone of another kind": (("ssd",), "task.detector=ssd: is made for VGG, such as backbone=vgg16 or vgg16_bn"),
    "an option of feature pyramids": (
        ("ssdlite", "task.channels=64"),
        "task.channels=64: must be auto with detector=ssdlite, which has no feature pyramid",
    ),
    "normalisation": (("ssdlite", "task.head_norm=true"), "task.head_norm=true: must be auto with detector=ssdlite"),
    "large boxes": (
        ("ssdlite", "task.anchor_scale=9"),
        "task.anchor_scale=9: the smallest boxes would be larger than half the image; up to 4 fits steps of 8 pixels",
    ),
    "a misspelt detector": (("sdd",), "task.detector=sdd: must be faster_rcnn, retinanet, ssd or ssdlite"),
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_does_not_fit_is_one_line(words: tuple[str, ...], message: str) -> None:
    family, *rest = words
    with pytest.raises(UserError) as caught:
        plan(compose(["task=detection", f"task.detector={family}", *rest]))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
