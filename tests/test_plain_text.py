"""Text from elsewhere: nothing in it reaches the terminal as a command."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.plain_text import plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("over\rwritten", r"over\rwritten"),
        ("\x07\x00\x9b2J", r"\x07\x00\x9b2J"),
        ("abc\u202etxt.exe", r"abc\u202etxt.exe"),
        ("half \udcff", r"half \udcff"),
        (
            "two\nlines\tof 99 % ± 1, naïve 中文 [b]x[/b] :smile:",
            "two\nlines\tof 99 % ± 1, naïve 中文 [b]x[/b] :smile:",
        ),
    ],
)
def test_control_characters_are_written_as_escapes(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_message_is_one_line() -> None:
    assert plain("a\nb\tc", keep="") == r"a\nb\tc"


@given(st.text())
def test_whatever_is_left_can_be_printed_and_stays_as_it_is(text: str) -> None:
    shown = plain(text, keep="")
    assert "\x1b" not in shown
    assert len(shown.splitlines()) <= 1
    shown.encode()  # no halves of characters
    assert plain(shown, keep="") == shown
