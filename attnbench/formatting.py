"""Numbers as people read them."""

from collections.abc import Sequence
from statistics import mean, stdev


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def big(number: float) -> str:
    """A large number with a unit prefix: 22.6 M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {letter}"
    return f"{number:.3g}"


def spread(values: Sequence[float | None]) -> str:
    """Fractions as a percentage: mean and standard deviation (n-1); only the mean of one; nothing of none."""
    numbers = [100 * value for value in values if value is not None]
    if not numbers:
        return "–"
    return f"{mean(numbers):.2f}" + (f" ± {stdev(numbers):.2f}" if len(numbers) > 1 else "")


def of_all(part: int, whole: int) -> str:
    """A number of things, and of how many where it is not all of them: "50 of 200"."""
    return str(part) if part == whole else f"{part} of {whole}"
