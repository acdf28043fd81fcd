"""A table's cost columns: what we count beside what the paper prints."""

from collections.abc import Mapping
from dataclasses import dataclass

from attnbench.config.validate import RunConfig
from attnbench.errors import NotInstalledError
from attnbench.formatting import big
from attnbench.tables.cell_configs import CellConfig
from attnbench.tables.spec import COSTS, PaperTable, Row, as_number, unit

FACTORS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class CostComparison:
    """A cost of a row's network: ours, None where there is none, and as printed. reason: why ours is not known here."""

    ours: int | None
    printed: str | None
    reason: str = ""

    @property
    def agrees(self) -> bool | None:
        """Whether ours, rounded as the printed number is, equals it; None where one is missing."""
        if self.ours is None or self.printed is None:
            return None
        return self._off(0.5)

    @property
    def close(self) -> bool:
        """Whether both are there and differ by no more than one of the last printed digit."""
        return self.ours is not None and self.printed is not None and self._off(1.0)

    def _off(self, units: float) -> bool:
        assert self.ours is not None
        assert self.printed is not None
        return abs(self.ours - as_number(self.printed)) <= (units + 1e-6) * unit(self.printed)


def costs_of(table: PaperTable, cells: Mapping[tuple[str, str], CellConfig]) -> dict[str, dict[str, CostComparison]]:
    """The costs of every row: of the network of its first column that has one."""
    first = next(iter(table.columns))
    return {row.key: _costs(row, cells[row.key, first]) for row in table.rows.values()}


def _costs(row: Row, cell: CellConfig) -> dict[str, CostComparison]:
    try:
        ours, reason = (_counted(cell.config) if cell.config else {}), ""
    except NotInstalledError as error:
        ours, reason = {}, str(error)
    return {key: CostComparison(ours.get(key), row.printed.get(key), reason) for key in COSTS}


def _counted(config: RunConfig) -> dict[str, int]:
    from attnbench.build import build_model_on_meta
    from attnbench.construct import build_data
    from attnbench.cost import count

    data = build_data(config)
    found = count(build_model_on_meta(config, data), data.channels, data.image_size)
    return {key: getattr(found, key) for key in COSTS}


def shown(number: float | None, like: str | None = None) -> str:
    """A count, rounded as the printed one is."""
    if number is None:
        return "–"
    if like is None:
        return big(number).replace(" ", "")
    letter = like[-1] if like[-1] in FACTORS else ""
    return f"{number / FACTORS[letter]:.{len(like.rstrip('kMG').partition('.')[2])}f}{letter}"
