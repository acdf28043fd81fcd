"""VGG against torchvision's; its final map and heads; images as small as one pixel."""

from itertools import accumulate

import pytest
import torch
from torch import nn
from torchvision.models import vgg as torchvisions

from attnbench.attention.base import Tap
from attnbench.backbones.vgg import LAYERS, VGG, Depth
from attnbench.build import build_model, build_model_on_meta
from attnbench.config.compose import compose
from tests.backbones.torchvisions import Spelling, assert_same_logits


def names(depth: Depth, features: nn.Sequential) -> Spelling:
    """Our blocks are torchvision's convolutions in order; a BN follows its convolution at once."""
    convolutions = [index for index, layer in enumerate(features) if isinstance(layer, nn.Conv2d)]
    before = [0, *accumulate(LAYERS[depth])]
    shift = {"conv": 0, "bn": 1}
    return {
        r"^stage(\d)\.block(\d)\.(\w+)":
            lambda m: f"features.{convolutions[before[int(m[1]) - 1] + int(m[2])] + shift[m[3]]}",
    }  # fmt: skip


@pytest.mark.parametrize(("depth", "batch_norm"), [(16, True), (11, False)])
def test_it_computes_what_torchvisions_does(depth: Depth, batch_norm: bool) -> None:
    torch.manual_seed(0)
    ours = VGG(depth, 7, batch_norm=batch_norm)
    with torch.device("meta"):
        theirs = getattr(torchvisions, f"vgg{depth}" + "_bn" * batch_norm)(num_classes=7)
    assert_same_logits(ours, theirs, names(depth, theirs.features), torch.randn(2, 3, 65, 97))


@pytest.mark.parametrize(("image", "side"), [(224, 7), (448, 14), (32, 1), (28, 1), (8, 1), (1, 1)])
def test_the_final_map_lies_after_the_fifth_pooling(image: int, side: int) -> None:
    with torch.device("meta"):
        net = VGG(16, 7)
        net.insert("stage5.out", Tap(), "tap")
        features = net.features(torch.empty(1, 3, image, image))
        assert features.final.shape == (1, 512, side, side)
        if image % 32 == 0:
            assert features.taps["stage5.out/tap/map"].shape == (1, 512, 2 * side, 2 * side)


def test_an_early_exit_ends_before_the_pooling() -> None:
    net = VGG(11, 7, width=2).eval()
    net.exit_after = "stage2"
    assert net.features(torch.randn(1, 3, 32, 32)).final.shape == (1, 4, 16, 16)


def test_small_images_have_a_linear_head() -> None:
    small = build_model_on_meta(compose(["backbone=vgg16_bn", "data=cifar100"])).backbone
    large = VGG(11, 7, width=1, hidden=2, image_size=224)
    for net, count in ((small, 1), (large, 3)):
        assert sum(isinstance(layer, nn.Linear) for layer in net.classifier.modules()) == count


def test_the_linear_head_reads_the_global_average() -> None:
    torch.manual_seed(0)
    net = VGG(11, 7, width=4, head="linear").eval()
    features = net.features(torch.randn(2, 3, 64, 96))
    expected = features.final.flatten(2).mean(2) @ net.get_parameter("classifier.weight").T
    assert torch.allclose(net.classify(features), expected, atol=1e-6)


@pytest.mark.parametrize("attention", ["none", "bam", "gated", "ggam", "residual", "extra_block"])
def test_the_original_head_learns_with_every_kind_of_attention(attention: str) -> None:
    torch.manual_seed(0)
    narrow = ["backbone=vgg16_bn", "backbone.depth=11", "backbone.width=8", "backbone.head=original"]
    net = build_model(compose([*narrow, "backbone.hidden=6", f"attention={attention}", "data=cifar10",
                               *["attention.reduction=2"] * (attention == "bam")]))  # fmt: skip
    output = net.output(torch.randn(2, 3, 64, 64))
    torch.stack(list(net.losses(output, torch.tensor([0, 1])).values())).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert (attention == "ggam") != net.backbone.has_classifier


def test_bam_stands_where_another_stage_follows() -> None:
    net = build_model_on_meta(compose(["backbone=vgg16", "attention=bam", "data=cifar100"])).backbone
    inserted = [path for path in net.slot_paths if hasattr(net.get_submodule(path), "bam")]
    assert sorted(inserted) == [f"stage{index}.out" for index in (1, 2, 3, 4)]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_names_of_torchvisions_weights_are_translated(batch_norm: bool) -> None:
    with torch.device("meta"):
        ours = VGG(11, 7, batch_norm=batch_norm)
        theirs = getattr(torchvisions, "vgg11" + "_bn" * batch_norm)(num_classes=7).state_dict()
    own = ours.own_names(theirs)
    assert {name: value.shape for name, value in own.items()} == {n: v.shape for n, v in ours.state_dict().items()}
    assert list(ours.own_names(own)) == list(own)
    assert ours.default_weights() == f"VGG11{'_BN' * batch_norm}_Weights.IMAGENET1K_V1"
