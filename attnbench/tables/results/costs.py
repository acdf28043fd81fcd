"""A table's cost columns: the network's counted cost beside the printed one."""

from dataclasses import dataclass

from attnbench.formatting import big
from attnbench.tables.spec.table import UNIT_PREFIXES, decimals, last_place, parse_number, split_prefix


@dataclass(frozen=True)
class CostComparison:
    """A cost of a row's network, counted and as printed; None where it is unknown. `reason` says why `ours` is None."""

    ours: int | None
    printed: str | None
    reason: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether `ours`, rounded as the printed number is, equals it; None where either is unknown."""
        if self.ours is None or self.printed is None:
            return None
        return _within(self.ours, self.printed, 0.5)

    @property
    def close(self) -> bool:
        """Whether both are known and differ by no more than one unit of the last printed place."""
        return self.ours is not None and self.printed is not None and _within(self.ours, self.printed, 1.0)


def _within(number: int, printed: str, units: float) -> bool:
    return abs(number - parse_number(printed)) <= (units + 1e-6) * last_place(printed)


def format_cost(number: float | None, printed: str | None = None) -> str:
    """Return a count as text, rounded as the printed number is where there is one."""
    if number is None:
        return "–"
    if printed is None:
        return big(number).replace(" ", "")
    digits, prefix = split_prefix(printed)
    return f"{number / UNIT_PREFIXES[prefix]:.{decimals(digits)}f}{prefix}"
