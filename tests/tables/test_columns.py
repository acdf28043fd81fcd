"""The columns of a report: those that are shown by default, and those that `--columns` names."""

from dataclasses import replace

import pytest

from attnbench.errors import UserError
from attnbench.tables.best_cells import mark_best
from attnbench.tables.build_report import build_report
from attnbench.tables.columns import NAMES, check_columns, choose_columns, shown_columns, split_names
from attnbench.tables.report import Report
from attnbench.tables.verdicts.comparisons import Comparisons
from tests.tables.render.made_up import inputs_of, result


def keys(report: Report) -> list[str]:
    return [heading.key for heading in report.headings]


def test_measured_columns_and_equal_best_epochs_are_not_shown_by_default() -> None:
    inputs = inputs_of("bam/1b")
    report = build_report(inputs)
    shown = keys(shown_columns(report))
    assert {"row", "error.last", "error.best", "error.difference", "error.printed", "multiply_adds.ours"} <= set(shown)
    assert not {"images_per_second", "wall_seconds"} & set(shown)
    assert "images_per_second" in keys(report)
    same = {
        key: replace(found, values={**found.values, "best": found.values["last"]})
        for key, found in inputs.results.items()
    }
    assert "error.best" not in keys(shown_columns(build_report(replace(inputs, results=same))))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("c100", ["row", "c100.last", "c100.best", "c100.difference", "c100.printed"]),
        ("c10,difference", ["row", "c10.difference"]),
        ("difference, speed", ["row", "c10.difference", "c100.difference", "images_per_second"]),
        ("measured", ["row", "images_per_second", "milliseconds_per_step", "peak_memory_bytes", "wall_seconds"]),
        ("multiply_adds", ["row", "multiply_adds.ours", "multiply_adds.printed"]),
    ],
)
def test_named_columns_are_shown_alone(names: str, shown: list[str]) -> None:
    report = choose_columns(build_report(inputs_of("gated/2")), split_names(names))
    assert keys(shown_columns(report)) == shown
    assert {len(line.cells) for line in report.lines} == {len(shown)}


def test_default_and_more() -> None:
    report = build_report(inputs_of("gated/2"))
    assert keys(choose_columns(report, ["default", "memory"])) == [*keys(shown_columns(report)), "peak_memory_bytes"]
    assert keys(choose_columns(report, ["all"])) == keys(report)
    assert choose_columns(report, []) is report


def test_notes_of_columns_that_are_left_out_are_left_out_and_the_others_numbered_again() -> None:
    report = build_report(inputs_of("bam/3a"))
    costs = choose_columns(report, ["costs"])
    marks = {mark for line in costs.lines for cell in line.cells for mark in cell.marks}
    assert marks == set(range(1, len(costs.notes) + 1))


def test_an_unknown_column_is_an_error_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"--columns sped: no such column; did you mean speed\?"):
        check_columns(["last", "sped"], ["error", *NAMES])
    check_columns(["error", "measured", "default"], ["error", *NAMES])


def best(inputs_name: str, spread: float) -> set[str]:
    inputs = inputs_of(inputs_name)
    cells = [(row, column) for row in inputs.table.rows.values() for column in inputs.table.columns]
    results = {(row.key, column): result(inputs.table, row, column, spread) for row, column in cells}
    report = build_report(replace(inputs, results=results))
    lines = mark_best(Comparisons(replace(inputs, results=results)), report.lines, report.headings)
    return {line.key for line in lines for cell in line.cells if cell.best}


def test_the_best_mean_is_bold_only_if_it_differs_from_all_others_beyond_chance() -> None:
    first = next(iter(inputs_of("bam/1b").table.rows))
    assert best("bam/1b", 0.001) == {first}
    assert best("bam/1b", 5.0) == set()
