"""Weights reach every backbone; what does not fit is left out with a notice, or rejected."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention
from attnbench.attention.ggam import GGAM
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.base import Backbone
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.config.search_path import choices, search_path
from attnbench.errors import UserError
from attnbench.training.checkpoints import misfit
from attnbench.weights import load as weights
from tests.weights.networks import loaded, mistaken, resnet20, same

SMALL = (
    "backbone=resnet20 backbone.width=4", "backbone=preact_resnet20 backbone.width=4", "backbone=wrn10_1",
    "backbone=resnext11_2x4d backbone.width=8", "backbone=densenet_bc22_8",
    "backbone=wide_resnet18_1.5 backbone.width=8", "backbone=densenet121 backbone.growth=4",
    "backbone=mobilenet_v1 backbone.alpha=0.1", "backbone=squeezenet1_1 backbone.width=16",
    "backbone=vgg16 backbone.width=4", "backbone=vgg16_bn backbone.width=4",
    "backbone=inception_resnet backbone.width=8", "backbone=cluttered_mnist_cnn backbone.width=4 data.canvas=40",
)  # fmt: skip
"""Every backbone of ours, small."""


@pytest.mark.parametrize("words", SMALL)
def test_every_backbone_of_ours_takes_a_file(words: str) -> None:
    torch.manual_seed(1)
    overrides = [*words.split(), "data=cluttered_digits"]
    net = build_model(compose(overrides))
    torch.save(net.backbone.state_dict(), "weights.pt")
    config = compose([*overrides, "backbone.weights=weights.pt", "attention=none"])
    other = build_model(config)
    assert not same(net.state_dict(), other.state_dict())
    assert weights.load(config, other.backbone) == []
    assert same(net.state_dict(), other.state_dict())


def test_small_ones_are_all() -> None:
    """Choices of libraries aside, every file of the group is a choice above, or a depth of one of them."""
    families = {choice.rstrip("0123456789") for choice in choices("backbone", search_path())}
    named = {
        compose([words.split()[0], "data=cluttered_digits"]).choices["backbone"].rstrip("0123456789") for words in SMALL
    }
    assert families - named == {"timm", "torchvision", "resnet20_stride"}  # resnet20 under another stem


def test_torchvisions_files_load_into_our_networks() -> None:
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    resnext = torchvision.models.resnext50_32x4d(num_classes=10).eval()
    pairs: list[tuple[nn.Module, Backbone, str]] = [
        (theirs, ResNet(18, 10, image_size=224), "resnet18"),
        (resnext, ResNeXt(50, 32, 4, 10, image_size=224), "resnext50_32x4d"),
        (theirs, TorchvisionBackbone("resnet18", 10), "torchvision/resnet18"),
    ]
    images = torch.randn(2, 3, 64, 64)
    for own, backbone, name in pairs:
        torch.save(own.state_dict(), "weights.pth")
        net = Classifier(backbone, Attention()).eval()
        assert loaded("weights.pth", net, name) == []
        with torch.no_grad():
            assert torch.allclose(net(images), own(images), atol=1e-5)


@pytest.mark.smoke
def test_other_classes_are_left_out_and_nothing_else_is() -> None:
    net, other = resnet20(100), resnet20(10)
    torch.save(net.backbone.state_dict(), "weights.pt")
    before = other.backbone.classifier.state_dict()
    assert loaded("weights.pt", other) == ["the classifier, which has 100 classes there and 10 here"]
    assert same(before, other.backbone.classifier.state_dict())
    body, expected = (
        {name: value for name, value in one.backbone.state_dict().items() if "classifier" not in name}
        for one in (other, net)
    )
    assert same(body, expected)


def test_of_a_head_of_several_layers_only_the_last_is_left_out() -> None:
    name = "mobilenet_v3_small"
    net, other = TorchvisionBackbone(name, 7, 3, 32), Classifier(TorchvisionBackbone(name, 5, 3, 32), Attention())
    nn.init.normal_(net.get_parameter("net.classifier.0.bias"))
    torch.save(net.net.state_dict(), "weights.pt")
    left_out = loaded("weights.pt", other, f"torchvision/{name}")
    assert left_out == ["the classifier, which has 7 classes there and 5 here"]
    assert torch.equal(other.backbone.state_dict()["net.classifier.0.bias"], net.state_dict()["net.classifier.0.bias"])


def test_what_attention_adds_and_removes() -> None:
    refined, plain = resnet20(attention=BAM(reduction=2)), resnet20()
    torch.save(plain.backbone.state_dict(), "plain.pt")
    torch.save(refined.state_dict(), "refined.pt")
    fresh = resnet20(attention=BAM(reduction=2))
    inserted = fresh.backbone.state_dict()["stage1.out.bam.channel.reduce.weight"].clone()
    assert loaded("plain.pt", fresh) == []
    assert torch.equal(fresh.backbone.state_dict()["stage1.out.bam.channel.reduce.weight"], inserted)
    assert loaded("refined.pt", fresh) == []
    assert same(fresh.backbone.state_dict(), refined.backbone.state_dict())
    assert loaded("refined.pt", plain) == ["what an attention inserted"]
    headless = resnet20(attention=GGAM(reduction=4))
    assert loaded("plain.pt", headless) == ["the classifier, which this network does not have"]
    torch.save(headless.state_dict(), "headless.pt")
    assert loaded("headless.pt", resnet20()) == ["the classifier, which they lack"]


def test_auxiliary_heads_are_left_out() -> None:
    theirs = torchvision.models.googlenet(num_classes=10, aux_logits=True, init_weights=False)
    torch.save(theirs.state_dict(), "weights.pt")
    net = Classifier(TorchvisionBackbone("googlenet", 10, 3, 64), Attention())
    assert loaded("weights.pt", net, "torchvision/googlenet") == ["auxiliary heads"]
    assert torch.equal(net.backbone.state_dict()["net.conv1.conv.weight"], theirs.conv1.conv.weight)


@pytest.mark.parametrize("name", ["mnasnet0_5", "densenet121"])
def test_networks_whose_state_dicts_have_a_history(name: str) -> None:
    theirs = torchvision.models.get_model(name, num_classes=10).eval()
    bare = dict(theirs.state_dict())  # without the versions of modules
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for key, value in bare.items()}
    torch.save(old if name == "densenet121" else bare, "weights.pt")
    net = Classifier(TorchvisionBackbone(name, 10, 3, 64), Attention()).eval()
    assert loaded("weights.pt", net, f"torchvision/{name}") == []
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(net(images), theirs(images), atol=1e-5)


FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "missing": (
        lambda state: mistaken(state, "stage1.block0.conv1.weight", None),
        "they do not fit: 1 not in the weights (stage1.block0.conv1.weight)",
    ),
    "shape": (
        lambda state: mistaken(state, "stem.0.weight", torch.zeros(4, 1, 3, 3)),
        "they do not fit: 1 of another shape (stem.0.weight is 4x1x3x3 there and 4x3x3x3 here)",
    ),
    "unexpected": (lambda state: mistaken(state, "more.weight", torch.zeros(1)), "only in the weights (more.weight)"),
    "another network": (
        lambda state: torchvision.models.squeezenet1_1().state_dict(),
        "not in the weights (stem.0.weight, stem.1.weight, …)",
    ),
    "no tensors": (lambda state: {"epoch": 3}, "holds no state dict"),
    "not a mapping": (lambda state: [1, 2], "holds no state dict"),
    "an empty state dict": (lambda state: {"state_dict": {}}, "holds no state dict"),
    "sparse": (
        lambda state: mistaken(state, "classifier.weight", state["classifier.weight"].to_sparse()),
        "holds tensors that are sparse or without values (classifier.weight)",
    ),
    "no values": (
        lambda state: {name: value.to("meta") for name, value in state.items()},
        "holds tensors that are sparse or without values (stem.0.weight, stem.1.weight, …)",
    ),
    "a whole module": (lambda state: nn.Linear(1, 1), "cannot be read as weights (UnpicklingError)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_named(fault: str) -> None:
    spoil, message = FAULTS[fault]
    torch.save(spoil(dict(resnet20().backbone.state_dict())), "weights.pt")
    with pytest.raises(UserError) as caught:
        loaded("weights.pt", resnet20())
    assert str(caught.value).startswith("backbone.weights=weights.pt: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_trained_on_other_ranges_get_them() -> None:
    for chosen, expected in (("default", True), ("null", False)):
        words = ["backbone=torchvision/googlenet", f"backbone.weights={chosen}", "data=cifar10"]
        net: Any = build_model(compose(words)).backbone.get_submodule("net")
        assert net.transform_input is expected


def test_misfits_of_checkpoints_are_described_in_the_same_words() -> None:
    net = resnet20()
    state = mistaken(dict(net.state_dict()), "backbone.stem.0.weight", torch.zeros(4, 1, 3, 3))
    message = "1 of another shape (backbone.stem.0.weight is 4x1x3x3 in the checkpoint and 4x3x3x3 here)"
    assert misfit(state, net) == message
