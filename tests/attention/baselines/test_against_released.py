"""Ours against the released modules: with the same weights the same outputs, gradients and running statistics.

In double precision, on maps of several shapes; deviations that the heads of the modules list are tested as such.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from attnbench.attention import CoordinateModule, GatherExciteModule, GCTModule, SimAMModule, TripletModule
from attnbench.attention.gather_excite import Parameters, make_gather
from attnbench.bench.modules import refined
from tests.attention.baselines import released

CHANNELS = 12
SHAPES = ((4, 9, 7), (3, 8, 8), (3, 1, 9), (3, 6, 1), (2, 15, 13))
"""Images, height and width of the maps."""
TOLERANCE = 1e-10


class Pair(NamedTuple):
    """Ours, the released module, and the released name of one of our parameters or buffers."""

    ours: Callable[[], nn.Module]
    theirs: Callable[[], nn.Module]
    renamed: Callable[[str], str] = str


def triplets_name(name: str) -> str:
    gate, _, rest = name.partition(".")
    return f"{gate}.conv.{rest}"


def gather_excites_name(name: str) -> str:
    return name.replace("excite.0", "down").replace("excite.2", "up")


PAIRS: dict[str, Pair] = {
    "simam": Pair(SimAMModule, released.SimAM),
    "simam of ImageNet": Pair(lambda: SimAMModule(0.1), lambda: released.SimAM(0.1)),
    "gct": Pair(lambda: GCTModule(CHANNELS), lambda: released.GCT(CHANNELS)),
    "coordinate": Pair(lambda: CoordinateModule(CHANNELS), lambda: released.CoordinateAttention(CHANNELS)),
    "triplet": Pair(TripletModule, released.TripletAttention, triplets_name),
    "gather_excite, theta-": Pair(
        lambda: GatherExciteModule(CHANNELS), lambda: released.GatherExcite(CHANNELS, "GEPF")
    ),
    "gather_excite, theta": Pair(
        lambda: GatherExciteModule(CHANNELS, "gather", 4),
        lambda: released.GatherExcite(CHANNELS, "GEP", make_gather(CHANNELS, 4)),
    ),
    "gather_excite, theta+": Pair(
        lambda: GatherExciteModule(CHANNELS, "both", 4, reduction=3),
        lambda: released.GatherExcite(CHANNELS, "GEPP", make_gather(CHANNELS, 4), reduction=3),
        gather_excites_name,
    ),
}
SAME_STATISTICS = [name for name in PAIRS if name != "triplet"]


def make(name: str, training: bool) -> tuple[nn.Module, nn.Module]:
    """Build both modules with the same random weights and running statistics, in double precision."""
    torch.manual_seed(0)
    pair = PAIRS[name]
    ours, theirs = pair.ours().double(), pair.theirs().double()
    for value in ours.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.1)
    stored = theirs.state_dict()
    state = {pair.renamed(key): value for key, value in ours.state_dict().items()}
    theirs.load_state_dict({key: value.reshape(stored[key].shape) for key, value in state.items()})
    return ours.train(training), theirs.train(training)


def run(module: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the output, and the gradients of its weighted sum in the map and in the parameters by name."""
    x = x.clone().requires_grad_()
    y = refined(module(x))
    weights = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).reshape(y.shape)
    return y, [*torch.autograd.grad((y * weights).sum(), [x, *module.parameters()])]


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_outputs_and_gradients_are_the_released_modules(name: str, shape: tuple[int, int, int], training: bool) -> None:
    ours, theirs = make(name, training)
    count, height, width = shape
    x = torch.randn(count, CHANNELS, height, width, dtype=torch.float64)
    (y, found), (expected, gradients) = run(ours, x), run(theirs, x)
    names = [PAIRS[name].renamed(key) for key, _ in ours.named_parameters()]
    by_name = dict(zip([key for key, _ in theirs.named_parameters()], gradients[1:], strict=True))
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(found[0], gradients[0], rtol=0, atol=TOLERANCE)
    for key, gradient in zip(names, found[1:], strict=True):
        torch.testing.assert_close(gradient, by_name[key].reshape(gradient.shape), rtol=1e-12, atol=TOLERANCE)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("parameters", "kind"), [("gather", "GEP"), ("both", "GEPP")])
def test_gather_excite_is_the_released_one_behind_a_convolution_as_large_as_the_map(
    parameters: Parameters, kind: str, training: bool
) -> None:
    """The released ones gather with such a convolution, which ours lacks."""
    torch.manual_seed(0)
    ours = GatherExciteModule(CHANNELS, parameters, 2, reduction=3).double().train(training)
    large = nn.Conv2d(CHANNELS, CHANNELS, (9, 7), groups=CHANNELS, bias=False).double()
    gather = nn.Sequential(large, nn.BatchNorm2d(CHANNELS).double())
    theirs = released.GatherExcite(CHANNELS, kind, gather, reduction=3).double().train(training)
    ours.gather.conv1 = large
    if kind == "GEPP":
        theirs.down.load_state_dict(ours.get_submodule("excite.0").state_dict())
        theirs.up.load_state_dict(ours.get_submodule("excite.2").state_dict())
    x = torch.randn(4, CHANNELS, 9, 7, dtype=torch.float64)
    (y, found), (expected, gradients) = run(ours, x), run(theirs, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE)
    for one, other in zip(found, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=TOLERANCE)


@pytest.mark.parametrize("name", SAME_STATISTICS)
def test_running_statistics_are_the_released_modules(name: str) -> None:
    ours, theirs = make(name, training=True)
    x = torch.randn(3, CHANNELS, 9, 7, dtype=torch.float64)
    run(ours, x), run(theirs, x)
    state = theirs.state_dict()
    for key, value in ours.state_dict().items():
        expected = state[PAIRS[name].renamed(key)].reshape(value.shape)
        torch.testing.assert_close(value, expected, rtol=0, atol=TOLERANCE)


def test_simam_on_one_pixel_is_no_zero_by_zero() -> None:
    x = torch.randn(2, CHANNELS, 1, 1, dtype=torch.float64)
    assert released.SimAM()(x).isnan().all()
    torch.testing.assert_close(refined(SimAMModule()(x)), x * torch.tensor(0.5, dtype=torch.float64).sigmoid())


def test_simam_divides_by_one_pixel_less_than_the_paper() -> None:
    x = torch.randn(1, 1, 3, 2, dtype=torch.float64)
    deviations = (x - x.mean()).square()
    gates = [(deviations / (4 * (deviations.sum() / pixels + 1e-4)) + 0.5).sigmoid() for pixels in (5, 6)]
    torch.testing.assert_close(refined(SimAMModule()(x)), x * gates[0])
    assert (gates[0] - gates[1]).abs().max() > 1e-3


def test_gct_adds_epsilon_to_the_mean_and_the_paper_to_the_sum() -> None:
    x = 1e-3 * torch.randn(2, CHANNELS, 3, 2, dtype=torch.float64)
    module = GCTModule(CHANNELS).double()
    nn.init.ones_(module.gamma)
    s = (x.square().sum((2, 3)) + 1e-5).sqrt()
    scales = [
        (s.square().mean(1, keepdim=True) + 1e-5).rsqrt(),
        CHANNELS**0.5 * (s.square().sum(1, keepdim=True) + 1e-5).rsqrt(),
    ]
    official, paper = (x * (1 + (s * scale).tanh())[:, :, None, None] for scale in scales)
    torch.testing.assert_close(module(x), official, rtol=1e-12, atol=1e-15)
    assert ((official - paper) / x).abs().max() > 0.01


def test_triplets_running_statistics_move_ten_times_as_fast_as_the_released() -> None:
    ours, theirs = make("triplet", training=True)
    for module in (ours, theirs):
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.reset_running_stats()
    x = torch.randn(3, CHANNELS, 9, 7, dtype=torch.float64)
    run(ours, x), run(theirs, x)
    for gate in ("cw", "hc", "hw"):
        mean, slow = ours.get_buffer(f"{gate}.bn.running_mean"), theirs.get_buffer(f"{gate}.conv.bn.running_mean")
        torch.testing.assert_close(mean, 10 * slow)


def test_triplet_shares_the_gradient_of_maxima_that_tie() -> None:
    ours, theirs = make("triplet", training=False)
    x = torch.ones(1, CHANNELS, 1, 1, dtype=torch.float64)
    (y, (found, *_)), (expected, (gradient, *_)) = run(ours, x), run(theirs, x)
    torch.testing.assert_close(y, expected, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(found.sum(), gradient.sum(), rtol=0, atol=TOLERANCE)
    assert not torch.allclose(found, gradient)
