"""Costs: what an attention adds is what is counted as its own."""

import pytest

from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import Cost, count


def cost(attention: str) -> Cost:
    return count(build_model_on_meta(compose([f"attention={attention}", "data=cifar100"])), 3, 32)


@pytest.mark.parametrize("attention", ["none", "bam", "gated", "se", "cbam"])
def test_an_attentions_share_is_the_difference_to_the_plain_network(attention: str) -> None:
    plain, whole = cost("none"), cost(attention)
    assert whole.attention_multiply_adds == whole.multiply_adds - plain.multiply_adds
    assert whole.attention_parameters == whole.parameters - plain.parameters
    assert (whole.attention_multiply_adds > 0) == (attention != "none")


def test_a_replaced_head_counts_as_the_attentions() -> None:
    plain, whole = cost("none"), cost("ggam")
    head = 64 * 100
    assert whole.attention_multiply_adds == whole.multiply_adds - (plain.multiply_adds - head)
    assert whole.attention_parameters == whole.parameters - (plain.parameters - head - 100)
