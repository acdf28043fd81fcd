"""Costs: what an attention adds is what is counted as its own."""

from functools import cache

import pytest

from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import Cost, Layer, count, count_layers


@cache
def cost(attention: str) -> Cost:
    return count(build_model_on_meta(compose([f"attention={attention}", "data=cifar100"])), 3, 32)


@pytest.mark.parametrize("attention", ["none", "bam", "gated", "se", "cbam"])
def test_an_attentions_share_is_the_difference_to_the_plain_network(attention: str) -> None:
    plain, whole = cost("none"), cost(attention)
    assert whole.attention_multiply_adds == whole.multiply_adds - plain.multiply_adds
    assert whole.attention_parameters == whole.parameters - plain.parameters
    assert (whole.attention_multiply_adds > 0) == (attention != "none")


@pytest.mark.parametrize("attention", ["none", "bam", "residual", "ggam", "se"])
def test_what_runs_is_what_the_papers_write(attention: str) -> None:
    found = cost(attention)
    assert found.executed_multiply_adds == found.multiply_adds


def test_counting_a_method_as_written_leaves_it_as_it_was() -> None:
    net = build_model_on_meta(compose(["attention=gated", "data=cifar100"])).train()
    first = count(net, 3, 32)
    assert first.executed_multiply_adds < first.multiply_adds
    assert count(net, 3, 32) == first
    assert net.training


def test_a_replaced_head_counts_as_the_attentions() -> None:
    plain, whole = cost("none"), cost("ggam")
    head = 64 * 100
    assert whole.attention_multiply_adds == whole.multiply_adds - (plain.multiply_adds - head)
    assert whole.attention_parameters == whole.parameters - (plain.parameters - head - 100)


@pytest.mark.parametrize("attention", ["none", "bam", "gated", "ggam", "residual", "cbam"])
def test_layers_add_up_to_the_whole(attention: str) -> None:
    net = build_model_on_meta(compose([f"attention={attention}", "data=cifar100"])).train()
    layers, whole = count_layers(net, 3, 32), count(net, 3, 32)
    assert sum(layer.parameters for layer in layers) == whole.parameters
    assert sum(layer.multiply_adds for layer in layers) == whole.executed_multiply_adds
    assert sum(layer.parameters for layer in layers if layer.of_attention) == whole.attention_parameters
    assert len({layer.path for layer in layers}) == len(layers)
    assert net.training
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_a_layer_counts_what_it_computes_itself() -> None:
    layers = count_layers(build_model_on_meta(compose(["data=cifar100"])), 3, 32)
    first = next(layer for layer in layers if layer.kind == "Conv2d")
    assert first == Layer("backbone.stem.0", "Conv2d", (16, 32, 32), 3 * 3 * 3 * 16, 27 * 16 * 32 * 32, False)
    assert layers[-1] == Layer("backbone.classifier", "Linear", (100,), 64 * 100 + 100, 64 * 100, False)
