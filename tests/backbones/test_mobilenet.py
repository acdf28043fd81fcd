"""MobileNet against timm's, and where BAM stands in it."""

import pytest
import timm
import torch
from torch import nn

from attnbench.backbones.mobilenet import MobileNet, SeparableBlock
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from tests.backbones.torchvisions import Spelling, assert_same_logits

NAMES: Spelling = {
    r"^stem\.0": "conv_stem",
    r"^stem\.1": "bn1",
    r"^stem_block": "blocks.0.0",
    r"^stage(\d)\.block": r"blocks.\1.",
    "depthwise": "conv_dw",
    "pointwise": "conv_pw",
}


def test_it_computes_what_timms_does() -> None:
    torch.manual_seed(0)
    ours = MobileNet(7)
    theirs = timm.create_model("mobilenetv1_100", num_classes=7, act_layer=nn.ReLU)
    assert_same_logits(ours, theirs, NAMES, torch.randn(2, 3, 65, 97))


@pytest.mark.parametrize(
    ("alpha", "channels"),
    [(1.0, (64, 128, 256, 512, 1024)), (0.7, (44, 89, 179, 358, 716)), (2.0, (128, 256, 512, 1024, 2048))],
)
def test_channels(alpha: float, channels: tuple[int, ...]) -> None:
    with torch.device("meta"):
        net = MobileNet(10, alpha=alpha)
    assert tuple(net.points[point].channels for point in ("stem.out", *net.match("stage?.out"))) == channels
    assert net.get_parameter("stem.0.weight").shape[0] == int(32 * alpha)


@pytest.mark.parametrize(("image", "strides"), [(32, (2, 4, 8)), (224, (4, 8, 16))])
def test_bam_stands_at_the_end_of_three_stages_and_not_of_the_stem(image: int, strides: tuple[int, ...]) -> None:
    overrides = ["backbone=mobilenet_v1", "attention=bam", "data=cifar100", f"backbone.stem={stem_of(image)}"]
    net = build_model_on_meta(compose(overrides)).backbone
    assert tuple(net.points[point] for point in net.bottlenecks) == tuple(zip((128, 256, 512), strides, strict=True))
    inserted = [path for path in net.slot_paths if hasattr(net.get_submodule(path), "bam")]
    assert sorted(inserted) == ["stage1.out", "stage2.out", "stage3.out"]


def stem_of(image: int) -> str:
    return "cifar" if image == 32 else "imagenet"


def test_a_block_is_two_convolutions_with_bn_and_relu() -> None:
    torch.manual_seed(0)
    block = SeparableBlock(6, 10, 2, 2).eval()
    x = torch.randn(2, 6, 7, 9)
    kernels = block.depthwise.weight
    each = [nn.functional.conv2d(x[:, [c]], kernels[[c]], stride=2, padding=1) for c in range(6)]
    one = torch.cat(each, 1)
    one = (one / (1 + 1e-5) ** 0.5).clamp_min(0)
    two = torch.einsum("oi,bihw->bohw", block.pointwise.weight[:, :, 0, 0], one)
    assert torch.allclose(block(x), (two / (1 + 1e-5) ** 0.5).clamp_min(0), atol=1e-6)


def test_fresh_blocks_keep_the_size_of_what_passes() -> None:
    """Also depthwise convolutions, each of whose outputs reads nine values."""
    torch.manual_seed(0)
    block = MobileNet(10).make_block("stage3").eval()
    x = torch.randn(2, 512, 14, 14).relu()
    assert 0.3 < block(x).std() / x.std() < 2
