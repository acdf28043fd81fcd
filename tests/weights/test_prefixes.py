"""Checkpoints of other projects: prefixes before the names, and objects beside the tensors."""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from attnbench.attention.base import Attention
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.errors import UserError
from attnbench.weights.prefixes import MOST_READINGS, readings_of
from tests.weights.networks import loaded, mistaken, resnet20, same


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix", ["net.", "model.", "encoder.", "network.0.", "model.net.", "module.model.encoder.", "_orig_mod.net."]
)
def test_prefixes_are_left_out_and_that_is_said(prefix: str) -> None:
    net, other = resnet20(), resnet20()
    torch.save({"state_dict": prefixed(prefix, dict(net.backbone.state_dict()))}, "weights.pt")
    shown = prefix.removeprefix("module.").removeprefix("_orig_mod.")  # these two are left out without a word
    assert loaded("weights.pt", other) == [f"the prefix {shown} of their names"]
    assert same(net.state_dict(), other.state_dict())


def test_checkpoints_of_detectors_hold_a_backbone_without_its_classifier() -> None:
    net, other = resnet20(), resnet20()
    body = {name: value for name, value in net.backbone.state_dict().items() if "classifier" not in name}
    rest = {"net.model.backbone.fpn.weight": torch.zeros(3), "net.model.rpn.weight": torch.zeros(3)}
    torch.save({"state_dict": prefixed("net.model.backbone.body.", body) | rest}, "weights.pt")
    assert loaded("weights.pt", other) == ["the classifier, which they lack"]
    assert same({name: other.backbone.state_dict()[name] for name in body}, body)


def test_names_of_other_libraries_may_have_them_too() -> None:
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    torch.save(prefixed("model.", theirs.state_dict()), "weights.pt")
    images = torch.randn(2, 3, 64, 64)
    for backbone, name in (
        (ResNet(18, 10, image_size=224), "resnet18"),
        (TorchvisionBackbone("resnet18", 10), "torchvision/resnet18"),
    ):
        net = Classifier(backbone, Attention()).eval()
        assert loaded("weights.pt", net, name) == ["the prefix model. of their names"]
        with torch.no_grad():
            assert torch.allclose(net(images), theirs(images), atol=1e-5)


def test_what_has_another_prefix_is_left_out_and_named() -> None:
    net, other = resnet20(), resnet20()
    body = {name: value for name, value in net.backbone.state_dict().items() if "classifier" not in name}
    state = {**prefixed("network.0.", body), "network.1.weight": torch.zeros(10, 16), "network.1.bias": torch.zeros(10)}
    torch.save(state, "weights.pt")
    assert loaded("weights.pt", other) == [
        "the prefix network.0. of their names",
        "2 weights without that prefix (network.1.weight, network.1.bias)",
        "the classifier, which they lack",
    ]
    assert torch.equal(other.backbone.state_dict()["stem.0.weight"], net.backbone.state_dict()["stem.0.weight"])


def test_of_two_networks_the_one_with_a_known_prefix_is_taken() -> None:
    net, momentum, other = resnet20(), resnet20(), resnet20()
    states = (dict(one.backbone.state_dict()) for one in (momentum, net))
    torch.save({**prefixed("teacher.", next(states)), **prefixed("encoder.", next(states))}, "weights.pt")
    assert loaded("weights.pt", other)[0] == "the prefix encoder. of their names"
    assert same(net.state_dict(), other.state_dict())


def test_what_fits_without_a_prefix_but_for_one_layer_is_compared_so() -> None:
    state = mistaken(dict(resnet20().backbone.state_dict()), "stage1.block0.conv1.weight", None)
    torch.save(prefixed("model.", state), "weights.pt")
    with pytest.raises(UserError, match=r"do not fit: 1 not in the weights \(stage1\.block0\.conv1\.weight\)$"):
        loaded("weights.pt", resnet20())


def test_the_search_for_prefixes_ends() -> None:
    state = {"".join(parts): torch.zeros(1) for parts in ([["net.", "model."][bit] for bit in bits] for bits in
             (((number >> place) & 1 for place in range(12)) for number in range(4096)))}  # fmt: skip
    assert len(readings_of(state)) == MOST_READINGS


OBJECTS: dict[str, tuple[Callable[[], Any], str]] = {
    "arguments": (lambda: {"args": argparse.Namespace(lr=0.1)}, "it holds argparse.Namespace beside tensors"),
    "numpy": (lambda: {"best": np.float64(76.1)}, "multiarray.scalar"),
    "a module": (lambda: {"model": nn.Linear(1, 1)}, "torch.nn.modules.linear.Linear"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("case", OBJECTS)
def test_a_file_with_objects_says_which_and_how_to_save_the_tensors(case: str, zipped: bool) -> None:
    make, expected = OBJECTS[case]
    content = {"state_dict": dict(resnet20().backbone.state_dict()), **make()}
    torch.save(content, "weights.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError) as caught:
        loaded("weights.pt", resnet20())
    message = str(caught.value)
    assert message.startswith("backbone.weights=weights.pt: cannot be read as weights (UnpicklingError): it holds ")
    assert expected in message
    assert 'torch.save(torch.load(FILE, weights_only=False)["state_dict"], "weights.pt")' in message
    assert "\n" not in message
