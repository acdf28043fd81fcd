"""Numbers as people read them."""

import pytest

from attnbench.formatting import big, p_in_words, p_value, two_digits


@pytest.mark.parametrize(
    ("p", "text", "words"),
    [
        (0.0004, "< 0.001", "p < 0.001"),
        (0.00403, "0.004", "p = 0.004"),
        (0.0424, "0.042", "p = 0.042"),
        (0.1, "0.10", "p = 0.10"),
        (0.999, "1.00", "p = 1.00"),
    ],
)
def test_a_p_value_is_written_one_way(p: float, text: str, words: str) -> None:
    assert (p_value(p), p_in_words(p)) == (text, words)


@pytest.mark.parametrize(
    ("number", "text"), [(0.0616, "0.062"), (12.4, "12"), (99.4, "99"), (99.7, "100"), (0.0, "0"), (1e-5, "1e-05")]
)
def test_two_significant_digits(number: float, text: str) -> None:
    assert two_digits(number) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999.4, "999"), (999.6, "1 k"), (999_499, "999 k"), (999_600, "1 M"), (22.6e6, "22.6 M"), (1e9, "1 G")],
)
def test_a_unit_is_chosen_after_rounding(number: float, text: str) -> None:
    assert big(number) == text
