"""Every method and every kind of backbone in every format: the file computes what the network does."""

import pytest
import torch

from attnbench.classifier import Classifier
from attnbench.export.agreement import TOLERANCE, largest_difference
from attnbench.export.codecs import CODECS, encode
from attnbench.export.network import MAPS, PixelClassifier
from attnbench.export.trace import trace
from tests.attention.pairs import NARROW, SHIPPED, VARIANTS, build, rejection

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
SIZE = 32
OURS = [name for name in SHIPPED if name != "timm"]
GRAPHS = ("onnx", "torch_export")
ONE_SIZE = {"cluttered mnist cnn", "vgg"}
"""Backbones that are exported for one image size: hidden layers fix it, or a pooling that looks at the map's size."""


def moved(net: Classifier) -> Classifier:
    """Give batch normalisation statistics of its own, as after training, so that no layer is the identity."""
    net.train()
    with torch.no_grad():
        for _ in range(2):
            net.output(torch.randn(8, 3, SIZE, SIZE))
    return net.eval()


def check(attention: str, backbone: str, name: str) -> bool:
    """Encode and load a network, compare it, and return whether its image size is free."""
    net = moved(build(attention, backbone))
    network = PixelClassifier(net, MEAN, STD, maps=True).eval()
    content, free_size = encode(name, network, SIZE, {})
    run = CODECS[name].load(content)
    sizes = [(1, SIZE, SIZE), (5, SIZE, SIZE), *([(2, SIZE + 9, SIZE + 30)] if free_size else [])]
    for shape in sizes:
        pixels = network.draw(*shape)
        with torch.no_grad():
            assert largest_difference(run(pixels), network(pixels)) <= TOLERANCE
    return free_size


@pytest.mark.slow
@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("attention", OURS)
def test_every_method_can_be_exported(attention: str, name: str) -> None:
    assert check(attention, "wrn", name)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", NARROW)
def test_every_backbone_can_be_exported(backbone: str) -> None:
    attention = "bam" if not rejection("bam", backbone) else "none"
    assert check(attention, backbone, "onnx") == (backbone not in ONE_SIZE)


@pytest.mark.slow
@pytest.mark.parametrize("attention", VARIANTS)
def test_every_option_can_be_exported(attention: str) -> None:
    assert check(attention, "wrn", "onnx")


def test_pixels_are_normalised_inside() -> None:
    net = moved(build("none", "resnet basic"))
    bytes_, floats = (PixelClassifier(net, MEAN, STD, kind).eval() for kind in ("uint8", "float"))
    pixels = bytes_.draw(2, SIZE, SIZE)
    with torch.no_grad():
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        expected = net((pixels / 255 - mean) / std)
        for network in (bytes_, floats):
            torch.testing.assert_close(network(network.take(pixels))["logits"], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_files_name_no_path_of_this_machine() -> None:
    network = PixelClassifier(build("none", "resnet basic").eval(), MEAN, STD).eval()
    traced = trace(network, SIZE)
    for name in GRAPHS:
        content = CODECS[name].encode(network, traced, {})
        assert b"site-packages" not in content
        assert b"attnbench/export" not in content


@pytest.mark.slow
def test_maps_are_outputs_only_where_they_are_asked_for() -> None:
    network = PixelClassifier(build("bam", "resnet basic").eval(), MEAN, STD).eval()
    assert trace(network, SIZE).names == ("logits", "probabilities")
    network.maps = True
    assert any(name.startswith(MAPS) for name in trace(network, SIZE).names)
