"""BAM's modules against the equations, their counts, and their options."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.attention.bam import BAM, BAMModule, Branch, CombineOption, Placement
from attnbench.backbones.layers import StrideIn
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.cost import count, count_parameters
from attnbench.errors import OptionError
from tests.attention.bam.reference import Reference

CHANNELS = (16, 32, 64, 96, 128, 160, 256, 320, 384, 512, 1024, 2048)
COUNTS = {
    "official": (96, 323, 1_173, 2_551, 4_457, 6_891, 17_361, 26_981, 38_713, 68_513, 272_193, 1_085_057),
    "paper": (122, 373, 1_271, 2_697, 4_651, 7_133, 17_747, 27_463, 39_291, 69_283, 273_731, 1_088_131),
}


def module(channels: int = 8, reduction: int = 2, dilation: int = 2, **options: Any) -> BAMModule:
    return BAMModule(channels, reduction, dilation, **options)


def randomised(found: BAMModule) -> BAMModule:
    """The module in double precision with nothing left at its initial value."""
    generator = torch.Generator().manual_seed(1)
    for tensor in found.double().state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + 0.1)
    return found.eval()


@pytest.mark.parametrize("variant", COUNTS)
def test_parameters_of_one_module(variant: str) -> None:
    with torch.device("meta"):
        found = tuple(count_parameters(module(channels, 16, 4, variant=variant)) for channels in CHANNELS)
    assert found == COUNTS[variant]


@pytest.mark.parametrize(
    ("reduction", "parameters"), [(4, 26_293_351), (8, 24_613_127), (16, 24_063_319), (32, 23_860_991)]
)
def test_parameters_of_the_cifar_network(reduction: int, parameters: int) -> None:
    with torch.device("meta"):
        net = Classifier(ResNet(50, 100), BAM("official", reduction=reduction))
    assert count_parameters(net) == parameters


@pytest.mark.parametrize(
    ("depth", "classes", "image", "parameters"),
    [
        (18, 100, 32, 11_243_123),
        (34, 100, 32, 21_351_283),
        (101, 100, 32, 43_055_447),
        (18, 1000, 224, 11_712_503),
        (50, 1000, 224, 25_915_099),
        (101, 1000, 224, 44_907_227),
    ],
)
def test_parameters_of_other_networks(depth: int, classes: int, image: int, parameters: int) -> None:
    with torch.device("meta"):
        net = Classifier(ResNet(depth, classes, image_size=image), BAM("official"))
    assert count_parameters(net) == parameters


@pytest.mark.parametrize(
    ("depth", "image", "stride_in", "giga"),
    [(50, 32, "3x3", 1.325), (50, 32, "1x1", 1.249), (50, 224, "1x1", 3.940), (50, 224, "3x3", 4.171)],
)
def test_multiply_adds(depth: int, image: int, stride_in: StrideIn, giga: float) -> None:
    with torch.device("meta"):
        classes = 100 if image == 32 else 1000
        net = Classifier(ResNet(depth, classes, image_size=image, stride_in=stride_in), BAM())
    cost = count(net, 3, image)
    assert cost.multiply_adds / 1e9 == pytest.approx(giga, abs=0.001)
    formula = 0
    for point, side in (("stage1.out", image), ("stage2.out", image // 2), ("stage3.out", image // 4)):
        side //= 4 if image == 224 else 1
        channels = net.backbone.points[point].channels
        hidden = channels // 16
        formula += (channels * hidden + 18 * hidden**2 + hidden) * side**2 + 2 * channels * hidden
    assert cost.attention_multiply_adds == formula


def test_parameters_do_not_depend_on_the_dilation() -> None:
    assert len({count_parameters(module(dilation=dilation)) for dilation in (1, 2, 4, 6)}) == 1


@pytest.mark.parametrize("variant", ["paper", "official"])
@pytest.mark.parametrize("combine", ["sum", "product", "max"])
@pytest.mark.parametrize("size", [(8, 8), (9, 14), (5, 3)], ids=str)
def test_parity_with_the_equations(variant: str, combine: str, size: tuple[int, int]) -> None:
    found = randomised(module(variant=variant, combine=combine, dilation=2))
    x = torch.randn(3, 8, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = Reference(found.state_dict(), {"variant": variant, "combine": combine, "dilation": 2}).module(x, "")
    assert torch.allclose(found(x).features, expected, atol=1e-10)


@settings(max_examples=25)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    batch=st.integers(1, 3),
    dilation=st.sampled_from([1, 2, 4, 6]),
    variant=st.sampled_from(["paper", "official"]),
    gate=st.sampled_from(["sigmoid", "tanh"]),
    training=st.booleans(),
)
def test_any_map_keeps_its_shape_and_the_gate_its_bounds(
    height: int, width: int, batch: int, dilation: int, variant: str, gate: str, training: bool
) -> None:
    found = module(dilation=dilation, variant=variant, gate=gate).train(training)
    x = torch.randn(batch, 8, height, width)
    refined = found(x)
    assert refined.features.shape == x.shape
    gates = found.fuse(refined.extras)
    assert gates.max() <= 1
    assert gates.min() >= (-1 if gate == "tanh" else 0)
    assert torch.allclose(refined.features, x * (1 + gates))


def test_defaults_follow_the_variant() -> None:
    assert (BAM("paper").fuse.combine, BAM("official").fuse.combine) == ("sum", "product")
    assert BAM("official", combine="sum").fuse.combine == "sum"


def test_one_branch_leaves_the_other_out() -> None:
    x = torch.randn(2, 8, 6, 5)
    assert module(branch="channel")(x).extras.keys() == {"channel"}
    assert module(branch="spatial")(x).extras.keys() == {"spatial"}
    assert count_parameters(module(branch="channel")) + count_parameters(module(branch="spatial")) == count_parameters(
        module()
    )


def test_a_batch_of_one_uses_the_running_statistics() -> None:
    found = module()
    x = torch.randn(1, 8, 4, 4)
    found.train()
    statistics = found.channel.norm.running_mean
    assert statistics is not None
    before = statistics.clone()
    assert torch.isfinite(found(x).features).all()
    assert torch.equal(statistics, before)


def test_placements() -> None:
    def places(placement: Placement) -> list[str]:
        net = Classifier(ResNet(20, 10), BAM(placement=placement))
        return [name for name, found in net.backbone.named_modules() if isinstance(found, BAMModule)]

    assert places("bottleneck") == ["stage1.out.bam", "stage2.out.bam"]
    assert len(places("block")) == 9


def test_maps_are_the_gates() -> None:
    net = Classifier(ResNet(20, 10), BAM())
    maps = net.maps(net.output(torch.randn(2, 3, 33, 47)))
    assert {name: tuple(values.shape) for name, values in maps.items()} == {
        "stage1.out": (2, 16, 33, 47),
        "stage2.out": (2, 32, 17, 24),
    }
    assert all(values.min() > 0 and values.max() < 1 for values in maps.values())


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"init": "he"}, "init"),
        ({"variant": "own"}, "variant"),
        ({"combine": "mean"}, "combine"),
        ({"branch": "none"}, "branch"),
        ({"placement": "stem"}, "placement"),
        ({"gate": "relu"}, "gate"),
        ({"reduction": 0}, "reduction"),
        ({"dilation": 0}, "dilation"),
        ({"branch": "channel", "combine": "sum"}, "combine"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, object], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        BAM(**options)  # type: ignore[arg-type]
    assert caught.value.key == key


@pytest.mark.parametrize(
    "options", [{"init": "he"}, {"variant": "own"}, {"branch": "none"}, {"gate": "relu"}, {"dilation": 0}]
)
def test_a_module_alone_checks_its_options_as_well(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError) as caught:
        BAMModule(64, **options)
    assert caught.value.key in options


@pytest.mark.parametrize("combine", ["sum", "product", "max"])
def test_every_inserted_module_combines_as_said(combine: CombineOption) -> None:
    net = Classifier(ResNet(20, 10, width=4), BAM(reduction=2, combine=combine))
    modules = [found for found in net.backbone.modules() if isinstance(found, BAMModule)]
    assert [found.fuse.combine for found in modules] == [combine] * 2


def test_a_reduction_that_leaves_no_channel() -> None:
    with pytest.raises(OptionError, match="leaves none of the 16 channels"):
        Classifier(ResNet(20, 10), BAM(reduction=17))


@pytest.mark.parametrize("branch", ["both", "channel", "spatial"])
def test_channels_last_maps_and_gradients_stay_channels_last_and_equal(branch: Branch) -> None:
    bam = randomised(module(branch=branch))
    inputs = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        x = inputs.clone(memory_format=memory_format).requires_grad_()
        features = bam(x).features
        (gradient,) = torch.autograd.grad(features.square().sum(), x)
        assert features.is_contiguous(memory_format=memory_format)
        assert gradient.is_contiguous(memory_format=memory_format)
        results.append((features, gradient))
    (features, gradient), (features_last, gradient_last) = results
    torch.testing.assert_close(features_last, features, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gradient_last, gradient, rtol=1e-12, atol=1e-12)
