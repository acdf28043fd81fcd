"""Each method against a reference that is written here from the papers and from facts of the released code."""

import pytest

from tests.attention.parity.compare import TOLERANCE, Row
from tests.attention.parity.rows import PAGE, ROWS, cells, kept_rows

PARAMETERS = [
    pytest.param(
        row,
        training,
        id=f"{row.method} {row.variant} in {'training' if training else 'evaluation'}",
        marks=pytest.mark.slow if training in row.slow else (),
    )
    for row in ROWS
    for training in (False, True)
]


@pytest.mark.parametrize(("row", "training"), PARAMETERS)
def test_outputs_gradients_and_losses_are_the_references(row: Row, training: bool) -> None:
    assert max(row.measure(training)) < TOLERANCE


def test_the_page_lists_these_comparisons() -> None:
    """After a change: python scripts/parity_table.py."""
    kept = kept_rows(PAGE.read_text(encoding="utf-8"))
    assert [tuple(row[:3]) for row in kept] == [cells(row) for row in ROWS]
    assert all(0 <= float(number) < TOLERANCE for row in kept for number in row[3:])
