"""Numbers as people read them."""

from collections.abc import Sequence
from statistics import mean, quantiles, stdev

MINUS = "−"
"""The typographical minus."""


def duration(seconds: float) -> str:
    """Write a duration in words: `59 s`, `1 min 30 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def big(number: float) -> str:
    """Write a large number with a unit prefix: `22.6 M`."""
    number = float(f"{number:.3g}")  # rounded before the unit is chosen: 999,600 is 1 M, not 1e+03 k
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {letter}"
    return f"{number:.3g}"


def signed(number: float, decimals: int = 2) -> str:
    """Write a number with its sign; the minus is the typographical one: `−1.49`."""
    return f"{number:+.{decimals}f}".replace("-", MINUS)


def signed_with_interval(number: float, interval: tuple[float, float] | None, decimals: int = 2) -> str:
    """Write a difference, with its interval if it has one: `−1.49 [−2.10, −0.88]`."""
    if interval is None:
        return signed(number, decimals)
    low, high = interval
    return f"{signed(number, decimals)} [{signed(low, decimals)}, {signed(high, decimals)}]"


def spread(values: Sequence[float | None]) -> str:
    """Write fractions as their mean percentage and, of two or more, the standard deviation (n-1): `55.00 ± 7.07`.

    Args:
        values: fractions; None is left out. Without any value the result is a dash.
    """
    percentages = [100 * value for value in values if value is not None]
    if not percentages:
        return "–"
    return f"{mean(percentages):.2f}" + (f" ± {stdev(percentages):.2f}" if len(percentages) > 1 else "")


def middle_half(values: Sequence[float], decimals: int = 0) -> str:
    """Write the median of measured values and the quartiles around it: `12.3 (12.0–12.9)`; a single value alone."""
    if len(values) < 2:
        return f"{values[0]:,.{decimals}f}"
    low, middle, high = quantiles(values, n=4)
    return f"{middle:,.{decimals}f} ({low:,.{decimals}f}–{high:,.{decimals}f})"


def two_digits(number: float) -> str:
    """Write a number with two significant digits: `0.062`, `12`, and what rounds to a hundred as `100`."""
    return f"{float(f'{number:.2g}'):g}"


def of_all(part: int, whole: int) -> str:
    """Write a count, and the whole where the count is only part of it: `50 of 200`."""
    return str(part) if part == whole else f"{part} of {whole}"


def p_value(p: float) -> str:
    """Write a p value: `0.012`, `0.23`, `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def p_in_words(p: float) -> str:
    """Write a p value as part of a sentence: `p = 0.012`, `p < 0.001`."""
    text = p_value(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
