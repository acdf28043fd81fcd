"""DenseNet against torchvision's, and where BAM stands in it."""

import torch
from torchvision.models.densenet import DenseNet as TorchvisionsDenseNet
from torchvision.models.densenet import densenet121

from attnbench.backbones.base import Backbone
from attnbench.backbones.densenet import DenseNet, Transition
from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from tests.backbones.torchvisions import Spelling, assert_same_logits

NAMES: Spelling = {
    r"^stem\.0": "features.conv0",
    r"^stem\.1": "features.norm0",
    r"^stage(\d)\.block(\d+)": lambda m: f"features.denseblock{m[1]}.denselayer{int(m[2]) + 1}",
    r"^transition(\d)\.bn": r"features.transition\1.norm",
    r"^transition": "features.transition",
    r"^bn\.": "features.norm5.",
    r"\.bn(\d)": r".norm\1",
}


def test_densenet121_computes_what_torchvisions_does() -> None:
    torch.manual_seed(0)
    ours = DenseNet(121, 32, 7, image_size=224)
    with torch.device("meta"):
        theirs = densenet121(num_classes=7)
    assert_same_logits(ours, theirs, NAMES, torch.randn(2, 3, 65, 97))


def test_another_layout_computes_what_torchvisions_does() -> None:
    torch.manual_seed(0)
    ours = DenseNet(18, 5, 7, stem="imagenet", blocks=[2, 1, 4])
    theirs = TorchvisionsDenseNet(5, (2, 1, 4), num_init_features=10, num_classes=7)
    assert_same_logits(ours, theirs, NAMES, torch.randn(2, 3, 65, 97))


def cifar(name: str, *overrides: str) -> Backbone:
    return build_model_on_meta(compose([f"backbone={name}", "data=cifar100", *overrides])).backbone


def test_bam_stands_before_and_after_each_transition() -> None:
    """Four modules with these channels: bam.md, section 1.4."""
    net = cifar("densenet_bc100_12", "attention=bam")
    assert [net.points[point].channels for point in net.bottlenecks] == [216, 108, 300, 150]
    assert [net.points[point].stride for point in net.bottlenecks] == [1, 2, 2, 4]
    inserted = [path for path in net.slot_paths if hasattr(net.get_submodule(path), "bam")]
    assert sorted(inserted) == sorted(point.replace(".in", ".before") for point in net.bottlenecks)


def test_each_layer_reads_all_maps_before_it() -> None:
    torch.manual_seed(0)
    net = DenseNet(22, 4, 7).eval()
    stage = net.get_submodule("stage2")
    x = torch.randn(2, net.points["transition1.out"].channels, 8, 8)
    maps = stage(x)
    assert torch.equal(maps[:, : x.shape[1]], x)
    for index in range(3):
        reads = stage.get_parameter(f"block{index}.conv1.weight").shape[1]
        assert reads == x.shape[1] + 4 * index


def test_an_early_exit_ends_with_the_activation_that_the_transition_begins_with() -> None:
    torch.manual_seed(0)
    net = DenseNet(22, 4, 7).eval()
    images = torch.randn(2, 3, 16, 16)
    x = net.get_submodule("stage1")(net.get_submodule("stem")(images))
    transition = net.get_submodule("transition1")
    assert isinstance(transition, Transition)
    net.exit_after = "stage1"
    assert torch.equal(net.features(images).final, transition.bn(x).relu())


def test_names() -> None:
    short = compose(["backbone=densenet_bc40_12"])
    long = compose(["backbone=densenet_bc", "backbone.depth=40", "backbone.growth=12"])
    assert short.identity == long.identity
    assert len(cifar("densenet121").stages) == 4
    assert len(cifar("densenet_bc100_12").stages) == 3
