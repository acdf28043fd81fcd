"""The baselines' modules: what they start as, the maps that they show, and small maps."""

import pytest
import torch
from torch import Tensor, nn

from attnbench.attention import (
    CoordinateAttention,
    CoordinateModule,
    GatherExciteModule,
    GCModule,
    GCTModule,
    NonLocal,
    NonLocalModule,
    PerBlockAttention,
    SimAM,
    SimAMModule,
    SKModule,
    Triplet,
    TripletModule,
)
from attnbench.bench.modules import refined
from attnbench.build import build_model
from attnbench.config.compose import compose

MODULES: dict[str, nn.Module] = {
    "coordinate": CoordinateModule(32),
    "simam": SimAMModule(),
    "triplet": TripletModule(),
    "gather_excite": GatherExciteModule(32, "both", 8),
    "gct": GCTModule(32),
    "gc": GCModule(32),
    "non_local": NonLocalModule(32),
    "sk": SKModule(32, 32),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_training_batch_of_one_pixel(name: str) -> None:
    module = MODULES[name].train()
    result = refined(module(torch.randn(1, 32, 1, 1)))
    assert result.shape == (1, 32, 1, 1)
    assert result.isfinite().all()


@pytest.mark.parametrize("name", MODULES)
def test_memory_formats_do_not_change_results(name: str) -> None:
    module, x = MODULES[name].eval(), torch.randn(2, 32, 9, 6)
    one, other = (refined(module(images)) for images in (x, x.contiguous(memory_format=torch.channels_last)))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert other.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("module", [GCTModule(8), NonLocalModule(8)], ids=lambda module: type(module).__name__)
def test_a_fresh_module_is_the_identity(module: nn.Module) -> None:
    x = torch.randn(2, 8, 5, 4)
    assert torch.equal(refined(module.train()(x)), x)


def test_a_fresh_global_context_adds_one_number_to_each_channel() -> None:
    module, x = GCModule(32), torch.randn(2, 32, 5, 4)
    bias = module.mlp_add.fc2.bias
    assert bias is not None
    assert torch.equal(refined(module(x)), x + bias[:, None, None])


def test_simam_prefers_what_differs_from_its_channel() -> None:
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 2] = 1
    gate = SimAMModule()(x).extras["gate"][0, 0]
    assert gate.flatten().argmax() == 6
    assert gate.min() >= 0.6224  # sigmoid(1/2)


def maps_of(attention: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return maps and taps of a narrow network."""
    torch.manual_seed(0)
    words = ["data=cifar10", "backbone.width=4", f"attention={attention}"]
    reduction = ["attention.reduction=2"] if attention in ("gc", "coordinate") else []
    net = build_model(compose([*words, *reduction])).eval()
    output = net.output(torch.randn(2, 3, 16, 24))
    return net.maps(output), output.features.taps


@pytest.mark.parametrize("attention", ["coordinate", "simam", "triplet"])
def test_gates_are_shown_by_block(attention: str) -> None:
    maps, taps = maps_of(attention)
    place = "conv2.out" if attention == "simam" else "residual"
    assert [*maps] == [f"stage{stage}.block{block}.{place}" for stage in (1, 2, 3) for block in range(3)]
    assert maps[f"stage2.block1.{place}"].shape == (2, 8, 8, 12)
    assert all(0 < values.min() < values.max() < 1 for values in maps.values())
    assert set(maps) == {key.split("/")[0] for key in taps}


@pytest.mark.parametrize(("attention", "point"), [("gc", "stage1.block2.residual"), ("non_local", "stage2.block1.out")])
def test_context_weights_are_shown_and_add_up_to_one(attention: str, point: str) -> None:
    maps, _ = maps_of(attention)
    for values in maps.values():
        torch.testing.assert_close(values.sum((2, 3)), torch.ones(2, 1))
    assert maps[point].shape == ((2, 1, 16, 24) if attention == "gc" else (2, 1, 8, 12))


def test_a_non_local_map_is_what_the_positions_look_at_on_average() -> None:
    x = torch.randn(1, 8, 3, 2)
    extras = NonLocalModule(8)(x).extras
    queries, keys = (extras[name][0].flatten(1) for name in ("queries", "keys"))
    looks = torch.stack([(query @ keys).softmax(0) for query in queries.T])
    torch.testing.assert_close(NonLocal().map_of(extras), looks.mean(0).reshape(1, 1, 3, 2))


@pytest.mark.parametrize(
    ("attention", "module"),
    [(CoordinateAttention(), CoordinateModule(8)), (SimAM(), SimAMModule()), (Triplet(), TripletModule())],
    ids=lambda value: type(value).__name__,
)
def test_a_shown_gate_is_what_the_map_was_multiplied_by(attention: PerBlockAttention, module: nn.Module) -> None:
    x = torch.randn(2, 8, 6, 5)
    result = module.eval()(x)
    gate = attention.map_of(result.extras)
    assert gate is not None
    torch.testing.assert_close(result.features, x * gate)
