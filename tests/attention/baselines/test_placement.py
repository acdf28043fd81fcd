"""Where the baselines stand on each family of networks, and what they add there."""

import pytest
import torch

from attnbench.attention import CBAM, GCT, SE, SK, GatherExcite, NonLocal, SKModule
from attnbench.attention.base import Attention
from attnbench.backbones.densenet import DenseNet
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.backbones.vgg import VGG
from attnbench.build import build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.cost import count_parameters
from attnbench.errors import OptionError, UserError
from attnbench.weights.load import fit


def added(attention: str, backbone: str, *more: str) -> int:
    """Return the parameters of all modules that an attention inserts into a network."""
    net = build_model_on_meta(compose(["data=cifar10", f"backbone={backbone}", f"attention={attention}", *more]))
    return sum(count_parameters(net.get_submodule(path)) for path in net.inserted_paths)


# 2 C h + h + C for each map of C channels, with h = C / 16 to the nearest number
SE_ADDS = {
    "resnet20": 3 * (49 + 162 + 580),
    "inception_resnet": 8_464 + 33_312 + 132_160 + 3 * 526_464,
    "vgg16_bn": 2 * 580 + 2 * 2_184 + 3 * 8_464 + 6 * 33_312,
    "mobilenet_v1": 2 * 2_184 + 2 * 8_464 + 6 * 33_312 + 2 * 132_160,
    "squeezenet1_1": 2 * 2_184 + 2 * 8_464 + 2 * 18_840 + 2 * 33_312,
    "densenet_bc100_12": 6_278 + 11_719 + 14_727,  # three stages of 216, 300 and 342 channels
    "cluttered_mnist_cnn": 162 + 580 + 3 * 2_184,
}


@pytest.mark.parametrize("backbone", SE_ADDS)
def test_se_adds_the_parameters_of_a_module_in_each_block_of_every_family(backbone: str) -> None:
    assert added("se", backbone) == SE_ADDS[backbone]


@pytest.mark.parametrize(
    ("attention", "more"),
    [
        ("se", ""),
        ("coordinate", ""),
        ("simam", "attention.placement=residual"),
        ("gct", "attention.placement=residual"),
    ],
)
@pytest.mark.parametrize(("backbone", "blocks"), [("resnet20", 9), ("resnet50", 16), ("preact_resnet20", 9)])
def test_one_module_stands_at_the_end_of_each_branch(attention: str, more: str, backbone: str, blocks: int) -> None:
    words = ["data=cifar10", f"backbone={backbone}", f"attention={attention}", *more.split()]
    paths = build_model_on_meta(compose(words)).inserted_paths
    assert len(paths) == blocks
    assert all(path.endswith(f".residual.{attention}") for path in paths), paths


# on ResNet-20: three blocks each of 16, 32 and 64 channels
BASELINES_ADD = {
    ("coordinate",): 3 * (26 * (16 + 32 + 64) + 3 * 24),  # three convolutions with biases and 8 hidden channels, BN
    ("simam",): 0,
    ("triplet",): 9 * 3 * (2 * 49 + 2),
    ("gather_excite",): 0,
    ("gather_excite", "attention.parameters=gather", "attention.extent=4"): 3 * 2 * 11 * (16 + 32 + 64),
    ("gct",): 3 * (3 + 6 * 16 + (16 + 5 * 32) + (32 + 5 * 64)),  # the inputs of 19 convolutions
    ("gct", "attention.placement=residual"): 3 * 3 * (16 + 32 + 64),
    ("gc",): 3 * (68 + 199 + 653),  # 2 C h + 2 C + 3 h + 1
    ("non_local",): 3 * (32 * 16 + 16) + (16 * 32 + 32) + 2 * 32,  # in the second stage
}


@pytest.mark.parametrize("words", BASELINES_ADD, ids=" ".join)
def test_baselines_add_the_parameters_of_their_equations(words: tuple[str, ...]) -> None:
    assert added(words[0], "resnet20", *words[1:]) == BASELINES_ADD[words]


def test_sknet_50_has_the_papers_parameters() -> None:
    with torch.device("meta"):
        plain, sk = (
            Classifier(ResNeXt(50, 32, 4, 1000, image_size=224), attention) for attention in (Attention(), SK())
        )
    # per block of D inner channels: a second convolution, its BN, and the perceptron of d units
    more = {128: (4_608, 32), 256: (18_432, 32), 512: (73_728, 32), 1024: (294_912, 64)}
    blocks = {128: 3, 256: 4, 512: 6, 1024: 3}
    expected = sum(n * (more[D][0] + 2 * D + 3 * D * more[D][1] + 2 * more[D][1]) for D, n in blocks.items())
    assert count_parameters(sk) - count_parameters(plain) == expected
    assert round(count_parameters(sk) / 1e6, 1) == 27.5  # table 2


POINTS = {
    "resnet20": [f"stage{stage}.block{block}.residual" for stage in (1, 2, 3) for block in range(3)],
    "densenet_bc16_4": ["stage1.out", "stage2.out", "stage3.out"],
    "cluttered_mnist_cnn": [f"stage{stage}.out" for stage in range(1, 6)],
    "squeezenet1_1": [f"stage{stage}.block{n}.out" for stage, count in ((1, 2), (2, 2), (3, 4)) for n in range(count)],
    "torchvision/shufflenet_v2_x0_5": ["stage1.out", "stage2.out", "stage3.out"],
}  # fmt: skip


@pytest.mark.parametrize("backbone", POINTS)
def test_without_residual_blocks_modules_stand_at_the_ends_of_blocks_or_stages(backbone: str) -> None:
    net = build_model_on_meta(compose(["data=cifar10", f"backbone={backbone}", "attention=se"]))
    assert net.inserted_paths == [f"backbone.{point}.se" for point in POINTS[backbone]]


def paths(net: Classifier) -> list[str]:
    return [path.removeprefix("backbone.").rpartition(".")[0] for path in net.inserted_paths]


def test_placement_is_chosen_by_name() -> None:
    assert paths(Classifier(ResNet(8, 10), SE(placement="stage"))) == ["stage1.out", "stage2.out", "stage3.out"]
    assert paths(Classifier(ResNet(8, 10), SE(placement="block"))) == [f"stage{n}.block0.out" for n in (1, 2, 3)]
    dense = Classifier(DenseNet(10, 16, 10), SE(placement="residual"))
    assert paths(dense) == [f"stage{n}.block0.grown" for n in (1, 2, 3)]


def test_a_non_local_block_stands_before_the_last_block_of_res4() -> None:
    with torch.device("meta"):
        assert paths(Classifier(ResNet(50, 10), NonLocal())) == ["stage3.block4.out"]
    assert paths(Classifier(ResNet(20, 10), NonLocal())) == ["stage2.block1.out"]
    assert paths(Classifier(ResNet(8, 10), NonLocal())) == ["stage2.out"]
    assert paths(Classifier(VGG(11, 10, width=4), NonLocal())) == ["stage4.block0.out"]
    assert len(Classifier(ResNet(20, 10), NonLocal(placement="residual")).inserted_paths) == 9


def test_sk_replaces_convolutions_and_their_normalisation() -> None:
    net = Classifier(ResNet(11, 10, width=4, block="bottleneck"), SK())
    block = net.backbone.get_submodule("stage2.block0")
    assert isinstance(block.conv2, SKModule)
    assert isinstance(block.bn2, torch.nn.Identity)
    assert [branch.conv.stride for branch in block.conv2.paths] == [(2, 2), (2, 2)]
    assert "backbone.stage2.block0.conv2" in net.inserted_paths
    assert not {id(m) for m in block.conv2.modules()} & {id(m) for m in net.backbone.own_modules("stage3")}


@pytest.mark.parametrize("attention", ["se", "cbam", "eca", "timm"])
def test_earlier_attentions_keep_their_runs_identities(attention: str) -> None:
    default, other = (
        compose(["data=cifar10", f"attention={attention}", *more]) for more in ([], ["attention.placement=stage"])
    )
    assert "attention.placement" not in default.identity
    assert other.identity["attention.placement"] == "stage"


def test_weights_of_the_plain_network_load_into_the_layers_that_sk_leaves() -> None:
    plain, sk = (
        Classifier(ResNet(11, 10, width=4, block="bottleneck"), attention).backbone for attention in (Attention(), SK())
    )
    match = fit(sk, plain.state_dict(), "plain")
    assert match.left_out == ["what an attention inserted"]
    left = set(plain.state_dict()) - set(match.state)
    assert {name.split(".")[2] for name in left} == {"conv2", "bn2"}


MISTAKES = {
    ("vgg16", "attention=se", "attention.placement=residual"): "this backbone has no such points",
    ("resnet20", "attention=se", "attention.placement=blocks"): "attention.placement=blocks: must be",
    ("resnet20", "attention=gather_excite", "attention.extent=3"): "attention.extent=3: must be",
    ("resnet20", "attention=gather_excite", "attention.parameters=both"): "extent=0: would gather by a conv",
    ("resnet20", "attention=simam", "attention.e_lambda=0"): "attention.e_lambda=0.0: must be positive",
    ("resnet20", "attention=gc", "attention.reduction=32"): "leaves none of the 16 channels",
    ("resnet20", "attention=coordinate", "attention.reduction=0"): "attention.reduction=0: must be at least 1",
    ("inception_resnet", "attention=sk"): "no blocks of one known 3x3 convolution",
    ("torchvision/resnet18", "attention=sk"): "no blocks of one known 3x3 convolution",
}  # fmt: skip


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_options_that_make_no_sense_are_rejected(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match=MISTAKES[words].replace(".", r"\.")):
        build_model_on_meta(compose(["data=cifar10", f"backbone={words[0]}", *words[1:]]))


def test_constructors_reject_what_configurations_reject() -> None:
    with pytest.raises(OptionError, match="placement"):
        CBAM(placement="everywhere")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="extent"):
        GatherExcite("both")
    assert GCT().placement == "auto"
