"""Costs: what an attention adds is what is counted as its own."""

from functools import cache

import pytest

from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import Cost, count


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
