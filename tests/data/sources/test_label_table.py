"""Tables of images: what a line lacks is one line of message."""

import re
from pathlib import Path

import pytest

from attnbench.data.sources.label_files import LabelFileError
from attnbench.data.sources.label_table import read_labelled_files

GROUPED = ["file,label,patient", "0.png,ant,p1", "1.png,bee,p1", "2.png,ant,p2", "3.png,bee,p2"]


@pytest.fixture
def table(own_folder: Path) -> Path:
    """A table beside its images."""
    for number in range(4):
        (own_folder / f"{number}.png").write_bytes(b"")
    path = own_folder / "labels.csv"
    path.write_text("\n".join(GROUPED))
    return path


def test_groups_are_those_of_the_column(table: Path) -> None:
    groups = read_labelled_files(table, table.parent, "Patient", tested=True).groups
    assert groups == {"0.png": "p1", "1.png": "p1", "2.png": "p2", "3.png": "p2"}
    assert read_labelled_files(table, table.parent, "age", tested=True).groups == {}


@pytest.mark.parametrize("line", ["3.png,bee", "3.png,bee,", "3.png,bee, "])
def test_lines_without_a_group_are_refused(line: str, table: Path) -> None:
    table.write_text("\n".join([*GROUPED[:-1], line]))
    expected = f"labels.csv: has lines without a file, a label or a group: {line}"
    with pytest.raises(LabelFileError, match=f"{re.escape(expected)}$"):
        read_labelled_files(table, table.parent, "patient", tested=True)
    assert len(read_labelled_files(table, table.parent, None, tested=True).splits["train"]) == 4
