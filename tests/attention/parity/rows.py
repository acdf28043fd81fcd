"""All rows of the table in docs/parity.md, and the table itself."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.attention.bam import parity as bam
from tests.attention.baselines import parity as baselines
from tests.attention.gated import parity as gated
from tests.attention.ggam import parity as ggam
from tests.attention.parity.compare import Differences, Row
from tests.attention.residual import parity as residual

ROWS: list[Row] = [*residual.ROWS, *bam.ROWS, *gated.ROWS, *ggam.ROWS, *baselines.ROWS]
PAGE = Path(__file__).resolve().parents[3] / "docs" / "parity.md"
START, END = "<!-- rows: scripts/parity_table.py -->\n", "<!-- /rows -->"


def cells(row: Row) -> tuple[str, str, str]:
    """Return the cells of a row that name it."""
    return row.method, row.variant, row.reference


def lines(rows: Iterable[Row], results: Iterable[Differences]) -> Iterator[str]:
    """Yield the lines of the table for these rows and their largest differences."""
    yield "| method | variant | reference | outputs | gradients | losses |"
    yield "|---|---|---|---|---|---|"
    for row, result in zip(rows, results, strict=True):
        yield f"| {' | '.join([*cells(row), *(f'{number:.1e}' for number in result)])} |"


def kept_rows(page: str) -> list[list[str]]:
    """Return the cells of each row in the text of the page."""
    table = page.split(START)[1].split(END, maxsplit=1)[0].strip().splitlines()[2:]
    return [line.strip("| ").split(" | ") for line in table]
