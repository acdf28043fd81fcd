"""Update the table of docs/parity.md: measure each comparison of the parity tests, in evaluation and in training.

python scripts/parity_table.py          # takes minutes: whole ImageNet networks in double precision
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the references are in the tests

from attnbench.runs.files import write_atomically
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
    page = PAGE.read_text(encoding="utf-8")
    before, after = page.split(START)[0], page.split(END)[1]
    write_atomically(PAGE, f"{before}{START}{table}\n{END}{after}")


if __name__ == "__main__":
    main()
