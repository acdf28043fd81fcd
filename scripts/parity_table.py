"""Update the table of docs/parity.md: measure each comparison of the parity tests, in evaluation and in training.

python scripts/parity_table.py          # takes minutes: whole ImageNet networks in double precision
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the references are in the tests

from marked_text import replace_between

from tests.attention.parity.compare import Differences, Row
from tests.attention.parity.rows import END, PAGE, ROWS, START, cells, lines


def measure(row: Row) -> Differences:
    """Return the larger differences of evaluation and training."""
    print(*cells(row), sep=", ", flush=True)
    evaluation, training = row.measure(False), row.measure(True)
    return Differences(*(max(pair) for pair in zip(evaluation, training, strict=True)))


def main() -> None:
    """Measure all rows, then write the page."""
    table = "\n".join(lines(ROWS, map(measure, ROWS)))
    replace_between(PAGE, START, END, f"{table}\n")


if __name__ == "__main__":
    main()
