"""A table says where an importance has collapsed, and how much a guide weighs in each row."""

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


def test_a_remark_gives_the_mean_shares_of_rows_with_a_guide(records: list[Record], show: Show) -> None:
    for record, share in zip(records[3:], (0.1, 0.2, 0.3), strict=True):
        record["attention/guide_loss_share"] = share / 100
        record["attention/guide_gradient_share"] = share
        record["attention/guide_importance_share"] = 0.5
    keep(records)
    (remark,) = re.findall(r"The guide's share of the loss, .*", show())
    assert remark.endswith("against cross-entropy: SE: 0.2 / 20 / 50 %.")


def test_without_a_guide_there_is_no_remark(records: list[Record], show: Show) -> None:
    keep(records)
    assert "guide's share" not in show()
