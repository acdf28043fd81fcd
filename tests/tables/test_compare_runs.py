"""Tables of one's own runs: how rows are told apart and named."""

import pytest

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.tables.compare_runs import left_over, shortened, told

GATED = ("attention=gated", "attention.width=")


def composed(*lines: str) -> RunConfig:
    return Composer().compose(["backbone=cluttered_mnist_cnn", "backbone.width=8", *lines])


def test_a_key_that_ends_like_one_that_differs_is_no_key_of_rows() -> None:
    configs = [composed("attention=none"), *(composed(GATED[0], GATED[1] + str(n)) for n in (2, 4))]
    names = left_over(configs, [])
    assert names == ["attention", "attention.width"]
    assert [told(config, names) for config in configs] == ["none", "gated width=2", "gated width=4"]


def test_keys_that_end_alike_are_named_in_full() -> None:
    names = ["attention", "backbone.width", "attention.width"]
    found = [told(composed(GATED[0], GATED[1] + "4", f"backbone.width={n}"), names) for n in (8, 16)]
    assert found == [f"gated backbone.width={n} attention.width=4" for n in (8, 16)]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["recipe.epochs"], ["epochs"]),
        (["attention", "data"], ["attention", "data"]),
        (["a.width", "b.width", "c.lr"], ["a.width", "b.width", "lr"]),
    ],
)
def test_names_are_as_short_as_is_clear(names: list[str], short: list[str]) -> None:
    assert list(shortened(names).values()) == short
