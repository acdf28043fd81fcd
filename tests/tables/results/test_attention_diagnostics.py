"""A table says where an importance has collapsed."""

import re

from tests.tables.test_build_report import Record, Show, keep, records, row_of, show

__all__ = ["records", "show"]


def test_a_collapse_is_noted_in_the_cell_of_its_row(records: list[Record], show: Show) -> None:
    for record in records[3:]:
        record["attention/collapsed"] = float(record["seed"] != records[3]["seed"])
    keep(records)
    out = show()
    seeds = ", ".join(str(record["seed"]) for record in records[4:])
    (number,) = re.findall(rf"^(\d)\. the channel importance has collapsed .* with seeds {seeds}$", out, re.MULTILINE)
    assert f"<sup>{number}</sup>" in row_of(out, "SE").split("|")[2]
    assert "<sup>" not in row_of(out, "plain").split("|")[2]


def test_without_a_collapse_nothing_is_noted(records: list[Record], show: Show) -> None:
    for record in records[3:]:
        record["attention/collapsed"] = 0.0
    keep(records)
    assert "collapsed" not in show()
