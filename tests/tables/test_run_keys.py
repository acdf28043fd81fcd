"""The keys in which runs differ, and how these name rows."""

import pytest

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.tables.run_keys import describe_keys, differing_keys, short_names

GATED = ("attention=gated", "attention.width=")


def composed(*lines: str) -> RunConfig:
    return Composer().compose(["backbone=cluttered_mnist_cnn", "backbone.width=8", *lines])


def test_only_keys_that_differ_name_rows_even_if_another_ends_alike() -> None:
    configs = [composed("attention=none"), *(composed(GATED[0], GATED[1] + str(n)) for n in (2, 4))]
    names = differing_keys(configs, [])
    assert names == ["attention", "attention.width"]
    assert [describe_keys(config, names) for config in configs] == ["none", "gated width=2", "gated width=4"]


def test_keys_with_the_same_end_are_named_in_full() -> None:
    names = ["attention", "backbone.width", "attention.width"]
    found = [describe_keys(composed(GATED[0], GATED[1] + "4", f"backbone.width={n}"), names) for n in (8, 16)]
    assert found == [f"gated backbone.width={n} attention.width=4" for n in (8, 16)]


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["recipe.epochs"], ["epochs"]),
        (["attention", "data"], ["attention", "data"]),
        (["a.width", "b.width", "c.lr"], ["a.width", "b.width", "lr"]),
    ],
)
def test_names_are_as_short_as_possible(names: list[str], short: list[str]) -> None:
    assert list(short_names(names).values()) == short
