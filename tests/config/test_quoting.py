"""The quoted form of a value means that value, to a shell and to Hydra."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.config.overrides import parse_one
from attnbench.config.quoting import quoted
from attnbench.errors import UserError


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("output=run#1", "\"output='run#1'\""),
        ("output=lr=0.1", "\"output='lr=0.1'\""),
        ("backbone.weights=epoch=6.ckpt", "\"backbone.weights='epoch=6.ckpt'\""),
        ("output=it's", r'"output=\"it' + "'" + r's\""'),
        ("output=grün", "\"output='grün'\""),
        ("output=a[1]", "\"output='a[1]'\""),
    ],
)
def test_a_value_that_hydra_cannot_read_is_shown_in_quotes(text: str, typed: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_one(text)
    assert str(raised.value) == f"{text}: a value like this is written in quotes: {typed}"
    assert parse_one(shlex.split(typed)[0]).value() == text.partition("=")[2]


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_what_is_quoted_means_the_same_text(value: str) -> None:
    typed = quoted("output", value)
    if typed is not None:
        (word,) = shlex.split(typed)
        assert parse_one(word).value() == value
    else:
        assert "\\" in value  # Hydra's quotes have no way to end in a backslash


@pytest.mark.parametrize("text", ["output=a\nb", "output=a\x1b[1m", "output=a\udcffb"])
def test_what_is_not_one_line_of_text_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match=r"output=a\\(n|x1b|udcff).*: an override is one line of text") as raised:
        parse_one(text)
    assert str(raised.value).isprintable()
