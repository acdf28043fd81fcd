"""Gated attention on whole networks: points, sizes, precision, compilation, copies."""

import copy
from typing import Any

import pytest
import torch

from attnbench.attention.gated_heads import GatedAttentionModule
from tests.attention.gated.networks import (
    CASES,
    attention,
    build,
    images,
    total,
)


@pytest.mark.parametrize(
    ("kind", "options", "points"),
    [
        ("wrn", {}, {"stage1": "stage2.pre", "stage2": "stage3.pre", "stage3": "final"}),
        ("wrn", {"depth": 1}, {"stage3": "final"}),
        ("wrn", {"depth": 2, "tap": "own"}, {"stage2": "stage2.out", "stage3": "stage3.out"}),
        ("20", {}, {"stage1": "stage1.out", "stage2": "stage2.out", "stage3": "final"}),
        ("18", {}, {"stage1": "stage1.out", "stage2": "stage2.out", "stage3": "stage3.out"}),
        ("18", {"deepest": "last", "depth": 1}, {"stage4": "final"}),
        ("digits", {"depth": 2}, {"stage4": "stage4.out", "stage5": "final"}),
        ("digits", {"depth": 1, "deepest": "before_last"}, {"stage4": "stage4.out"}),
    ],
)
def test_places(kind: str, options: dict[str, Any], points: dict[str, str]) -> None:
    assert attention(build(kind, **options)).points == points


@pytest.mark.parametrize("case", ["paper", "official", "own", "sigmoid"])
@pytest.mark.parametrize("size", [(7, 7), (8, 8), (14, 14), (33, 47)], ids=str)
def test_maps_are_the_masks_at_any_size(case: str, size: tuple[int, int]) -> None:
    net = build(**CASES[case])
    output = net.output(images(2, *size, torch.float32))
    assert total(net, output).isfinite()
    for masks, step in zip(net.maps(output).values(), (1, 2, 4), strict=True):
        assert masks.shape == (2, 4, -(-size[0] // step), -(-size[1] // step))
        if case == "sigmoid":
            assert 0 < masks.min() <= masks.max() < 1
            assert masks.mean() > 0.05  # of the order of a sigmoid, not divided by the number of positions
        else:
            assert torch.allclose(masks.sum((2, 3)), torch.ones(2, 4), atol=1e-5)


@pytest.mark.parametrize("kind", ["wrn", "20", "18", "digits"])
@pytest.mark.parametrize(
    "options",
    [{"variant": "official"}, {"net_output": "none"}, {"predict": "modules"}, {"head_combine": "probabilities"}],
    ids=str,
)
def test_global_gates_read_the_last_map_under_a_mask(kind: str, options: dict[str, Any]) -> None:
    side = 40 if kind == "digits" else 16
    net = build(kind, gate_input="masked", **options)
    x = torch.randn(3, 1 if kind == "digits" else 3, side, side)
    total(net, net.output(x)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    output = net.eval().output(x)
    assert torch.allclose(output.extras["gates"].sum(1), torch.ones(3))
    if "masks/global_gates" in output.extras:
        assert torch.allclose(net.maps(output)["global_gates"].sum((1, 2, 3)), torch.ones(3))
    reached = options.get("predict") != "modules" or attention(net).sees_final
    assert ("masks/global_gates" in output.extras) == reached


def test_heads_averaged_as_probabilities_give_a_distribution() -> None:
    module = GatedAttentionModule(6, 5, head_gates=True, combine="probabilities")
    output = module(torch.randn(2, 6, 4, 4))
    assert torch.allclose(output.hypotheses.exp().sum(-1), torch.ones(2, 1))


@pytest.mark.parametrize("case", ["official", "own"])
def test_a_training_batch_of_one_reads_the_gates_running_statistics(case: str) -> None:
    net = build(**CASES[case]).train()
    before = copy.deepcopy(attention(net).gate)
    loss = total(net, net.output(images(1, 8, 8, torch.float32)))
    loss.backward()
    assert loss.isfinite()
    assert before is not None
    after: Any = attention(net).gate
    assert all(torch.equal(v, after.state_dict()[name]) for name, v in before.state_dict().items() if "running" in name)


@pytest.mark.parametrize("case", ["paper", "official"])
def test_masks_and_gates_stay_precise_under_autocast(case: str) -> None:
    net = build(**CASES[case]).eval()
    x = images(4, 16, 16, torch.float32)
    expected = net(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = net.output(x)
        loss = total(net, output)
    assert output.logits.dtype == loss.dtype == torch.float32
    assert torch.allclose(output.logits, expected, atol=0.25)
    assert torch.allclose(output.extras["gates"].sum(1), torch.ones(4), atol=1e-5)
    for masks in net.maps(output).values():
        assert torch.allclose(masks.sum((2, 3)), torch.ones(4, 4), atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        pytest.param({"predict": "modules"}, marks=pytest.mark.slow),
        pytest.param({"predict": "modules", "exit_modules": 1}, marks=pytest.mark.slow),
        pytest.param({"gate_input": "masked", "head_combine": "probabilities"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_compiles_as_one_graph(options: dict[str, Any]) -> None:
    net = build(variant="official", **options).eval()
    x = images(2, 8, 8, torch.float32)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x), net(x), atol=1e-5)


def test_a_copy_stands_alone() -> None:
    net = build(variant="official")
    total(net, net.output(images(dtype=torch.float32))).backward()
    twin = copy.deepcopy(net)
    x = images(dtype=torch.float32)
    before = net.eval()(x)
    assert torch.equal(twin.eval()(x), before)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(1.5)
    assert torch.equal(net(x), before)
    assert not torch.equal(twin(x), before)
