"""A file with the names of the released BAM, made here from its layers, loads and gives the same numbers."""

from collections import OrderedDict
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet
from torchvision.models.resnet import BasicBlock, Bottleneck

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.weights.bam_official import from_released, has_released_names
from attnbench.weights.load import load

CHANNELS = {1: 64, 2: 128, 3: 256}


def released_bam(channels: int) -> nn.Module:
    """A container of the released layers, by their names (papers file, section 1.2)."""
    hidden = channels // 16
    gate_c: OrderedDict[str, nn.Module] = OrderedDict()
    gate_c["gate_c_fc_0"], gate_c["gate_c_bn_1"] = nn.Linear(channels, hidden), nn.BatchNorm1d(hidden)
    gate_c["gate_c_relu_1"] = nn.ReLU()
    gate_c["gate_c_fc_final"] = nn.Linear(hidden, channels)
    gate_s: OrderedDict[str, nn.Module] = OrderedDict()
    gate_s["gate_s_conv_reduce0"], gate_s["gate_s_bn_reduce0"] = nn.Conv2d(channels, hidden, 1), nn.BatchNorm2d(hidden)
    gate_s["gate_s_relu_reduce0"] = nn.ReLU()
    for index in range(2):
        gate_s[f"gate_s_conv_di_{index}"] = nn.Conv2d(hidden, hidden, 3, padding=4, dilation=4)
        gate_s[f"gate_s_bn_di_{index}"] = nn.BatchNorm2d(hidden)
        gate_s[f"gate_s_relu_di_{index}"] = nn.ReLU()
    gate_s["gate_s_conv_final"] = nn.Conv2d(hidden, 1, 1)
    channel, spatial, bam = nn.Module(), nn.Module(), nn.Module()
    channel.add_module("gate_c", nn.Sequential(gate_c))
    spatial.add_module("gate_s", nn.Sequential(gate_s))
    bam.add_module("channel_att", channel)
    bam.add_module("spatial_att", spatial)
    return bam


def apply(bam: nn.Module, x: Tensor) -> Tensor:
    channel = bam.get_submodule("channel_att.gate_c")(x.mean((2, 3)))[:, :, None, None]
    spatial = bam.get_submodule("spatial_att.gate_s")(x)
    return (1 + torch.sigmoid(channel * spatial)) * x


class Released(resnet.ResNet):  # type: ignore[misc]
    """torchvision's ResNet with the released modules after its first three layers."""

    def __init__(self, block: type[BasicBlock | Bottleneck], layers: list[int]) -> None:
        super().__init__(block, layers)
        for index, channels in CHANNELS.items():
            self.add_module(f"bam{index}", released_bam(channels * block.expansion))

    def _forward_impl(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for index in (1, 2, 3):
            x = apply(self.get_submodule(f"bam{index}"), self.get_submodule(f"layer{index}")(x))
        return cast(Tensor, self.fc(self.layer4(x).mean((2, 3))))


def stir(net: nn.Module) -> None:
    """Leave no tensor at its initial value, running statistics among them."""
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            tensor.add_(0.1 * torch.rand_like(tensor))
    net.eval()


def loaded(words: str, net: Classifier) -> list[str]:
    """Load `weights.pt` as a run does; returns what is left out."""
    return load(compose([*words.split(), "backbone.weights=weights.pt"]), net.backbone)


@pytest.mark.parametrize(("depth", "block", "layers"), [(18, BasicBlock, [2] * 4), (50, Bottleneck, [3, 4, 6, 3])])
@pytest.mark.parametrize("written", ["bare", "released checkpoint"])
@pytest.mark.parametrize("library", ["", "torchvision/"])
def test_a_released_file_loads_and_gives_the_same_logits(
    depth: int, block: type[BasicBlock], layers: list[int], written: str, library: str
) -> None:
    torch.manual_seed(0)
    theirs = Released(block, layers).double()
    stir(theirs)
    state = theirs.state_dict()
    checkpoint = {"epoch": 90, "state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(checkpoint if written == "released checkpoint" else state, "weights.pt")
    backbone = TorchvisionBackbone(f"resnet{depth}", 1000) if library else ResNet(depth, 1000, image_size=224)
    ours = Classifier(backbone, BAM("official")).double().eval()
    assert loaded(f"backbone={library}resnet{depth}", ours) == []
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    expected = theirs(images)
    assert torch.allclose(ours(images), expected, rtol=1e-10, atol=1e-10 * expected.abs().max().item())


def test_without_bam_its_modules_are_left_out() -> None:
    theirs = Released(BasicBlock, [2] * 4)
    torch.save(theirs.state_dict(), "weights.pt")
    ours = Classifier(ResNet(18, 1000, image_size=224), Attention())
    assert loaded("backbone=resnet18", ours) == ["what an attention inserted"]
    assert torch.equal(ours.backbone.state_dict()["stage4.block1.conv2.weight"], theirs.layer4[1].conv2.weight)


def test_every_released_name_of_bam_is_translated() -> None:
    theirs = Released(BasicBlock, [2] * 4).state_dict()
    assert has_released_names(theirs)
    assert not any(name.startswith("bam") for name in from_released(theirs))
    assert not has_released_names(resnet.resnet18().state_dict())
