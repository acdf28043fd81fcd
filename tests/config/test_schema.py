"""Declarations beside defaults, and conversion to accepted types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.config import schema, search_path
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse

PLAIN = st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.text(max_size=5), st.none())
WORDS = st.lists(
    st.sampled_from(["int", "float", "bool", "str", "null", "auto", "list[int]", "list[float]"]), min_size=1
)


@given(value=st.one_of(PLAIN, st.lists(PLAIN, max_size=3)), words=WORDS)
def test_converting_twice_changes_nothing(value: Any, words: list[str]) -> None:
    accepts = tuple(words)
    try:
        once = schema.convert(value, accepts)
    except schema.ConfigTypeError:
        return
    again = schema.convert(once, accepts)
    assert again == once
    assert type(again) is type(once)


@pytest.mark.parametrize(
    ("value", "accepts", "result"),
    [
        (1, ("float",), 1.0),
        (1.0, ("int",), 1),
        ("auto", ("auto", "int"), "auto"),
        (3, ("auto", "int"), 3),
        (True, ("auto", "bool"), True),
        (7, ("str",), "7"),
        ([1, 2.5], ("list[float]",), [1.0, 2.5]),
        ([], ("list[float]",), []),
        (None, ("null", "str"), None),
        ("3x3", ("3x3", "1x1"), "3x3"),
    ],
)
def test_values_are_converted_to_accepted_types(value: Any, accepts: tuple[str, ...], result: Any) -> None:
    converted = schema.convert(value, accepts)
    assert converted == result
    assert type(converted) is type(result)


@pytest.mark.parametrize(
    ("value", "accepts"),
    [
        (True, ("int",)),
        (1, ("bool",)),
        (1.5, ("int",)),
        ("1", ("int",)),
        (1.5, ("str",)),
        (float("nan"), ("int",)),
        (float("nan"), ("float",)),
        (float("-inf"), ("float",)),
        pytest.param(10**400, ("float",), id="more than a float holds"),
        ([1.0, float("inf")], ("list[float]",)),
        (2**63, ("int",)),
        (-1e30, ("int",)),
    ],
)
def test_values_of_other_types_are_rejected(value: Any, accepts: tuple[str, ...]) -> None:
    with pytest.raises(schema.ConfigTypeError):
        schema.convert(value, accepts)


@pytest.mark.parametrize(
    ("value", "accepts", "problem"),
    [
        (float("nan"), ("float",), "must be finite"),
        ([0.5, float("inf")], ("null", "list[float]"), "must be finite"),
        (1e30, ("int",), "must be below 2^63"),
        (float("nan"), ("auto", "int"), "must be finite"),
    ],
)
def test_a_number_that_no_run_can_use_is_named(value: Any, accepts: tuple[str, ...], problem: str) -> None:
    with pytest.raises(schema.ConfigTypeError, match=problem.replace("^", r"\^")):
        schema.convert(value, accepts)


def test_every_default_without_a_type_is_declared() -> None:
    composer = Composer()
    for group in search_path.groups(composer.folders):
        for choice in search_path.choices(group, composer.folders):
            tree, _ = composer.chosen(parse([f"{group}={choice}"], composer.folders))
            declared = schema.declarations(tree)
            for key, default in schema.flatten(tree).items():
                assert schema.accepted_types(key, default, declared.get(key))


def test_every_declared_key_exists() -> None:
    composer = Composer()
    for group in search_path.groups(composer.folders):
        for choice in search_path.choices(group, composer.folders):
            tree, _ = composer.chosen(parse([f"{group}={choice}"], composer.folders))
            leaves = schema.flatten(tree)
            for key in schema.declarations(tree):
                assert any(leaf == key or leaf.startswith(f"{key}.") for leaf in [*leaves, "logger."]), key
