"""A guide's shares: a remark, and columns that are chosen by name or shown by a table's file."""

import csv
import re
from io import StringIO

import pytest

from tests.tables.lab import TABLE
from tests.tables.test_build_report import Record, Show, keep, records, row_of, show

__all__ = ["records", "show"]
SHARES = {"loss": (0.001, 0.002, 0.003), "gradient": (0.1, 0.2, 0.3), "importance": (0.99, 1.0, 1.0)}
REMARK = "The guide's share of the loss, "


@pytest.fixture
def guided(records: list[Record]) -> list[Record]:
    """Return the runs, those of `se` with shares of a guide."""
    for name, shares in SHARES.items():
        for record, share in zip(records[3:], shares, strict=True):
            record[f"attention/guide_{name}_share"] = share
    keep(records)
    return records


@pytest.mark.usefixtures("guided")
def test_a_remark_gives_the_mean_shares_of_rows_with_a_guide(show: Show) -> None:
    (remark,) = re.findall(rf"{REMARK}.*", out := show())
    assert remark.endswith("against cross-entropy: SE: 0.2 / 20 / 100 %.")
    assert "guide (%)" not in out


@pytest.mark.usefixtures("guided")
@pytest.mark.parametrize(
    ("names", "shares"),
    [("guide", ["0.2", "20", "100"]), ("guide_gradient", ["20"]), ("guide_importance,guide_loss", ["0.2", "100"])],
)
def test_columns_are_chosen_by_name(names: str, shares: list[str], show: Show) -> None:
    out = show("--columns", names)
    assert [cell.strip() for cell in row_of(out, "SE").split("|")[2:-1]] == shares
    assert [cell.strip() for cell in row_of(out, "plain").split("|")[2:-1]] == ["–"] * len(shares)
    assert "at the end of training: means over seeds." in out


@pytest.mark.usefixtures("guided")
@pytest.mark.parametrize("form", ["terminal", "markdown", "latex", "html", "csv"])
def test_every_format_has_the_columns_when_they_are_named(form: str, show: Show) -> None:
    out = show("--columns", "default,guide", form=form)
    assert ("guide_loss_share" if form in ("csv", "html") else "gradient") in out


@pytest.mark.usefixtures("guided")
def test_programs_get_unrounded_shares(show: Show) -> None:
    rows = {row["row"]: row for row in csv.DictReader(StringIO(show(form="csv")))}
    assert float(rows["SE"]["guide_loss_share"]) == pytest.approx(0.002)
    assert rows["plain"]["guide_loss_share"] == ""


@pytest.mark.usefixtures("guided")
def test_a_table_s_file_shows_the_columns_in_place_of_the_remark(show: Show) -> None:
    out = show(text=f"{TABLE}shows: [guide]\n")
    assert "guide (%)<br>loss" in out and REMARK not in out


def test_without_a_guide_there_is_neither_a_remark_nor_a_column(records: list[Record], show: Show) -> None:
    keep(records)
    assert "guide" not in show("--columns", "all")
    assert "The guide" not in show(form="html")
