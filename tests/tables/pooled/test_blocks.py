"""Which runs make a block, which setting stands for a method, and what is left out and named."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.tables.report import Line, Report
from attnbench.tables.results.records import Record
from tests.tables.pooled_lab import golden_records, make_runs, report_of, three_blocks
from tests.tables.results.test_scores_of_maps import FIRST, explained


def lines_of(report: Report) -> dict[str, Line]:
    return {line.key: line for line in report.lines}


def means(report: Report) -> dict[str, float | None]:
    return {line.key: line.cells[1].sort for line in report.lines}


def test_each_method_has_a_line_a_block_and_a_pooled_one_where_blocks_are_several() -> None:
    found = means(report_of(three_blocks()))
    assert found == {
        "bam resnet20 width=4": pytest.approx(1.0),
        "bam resnet20 width=8": pytest.approx(2.0),
        "bam resnet20 width=16": pytest.approx(-1.0),
        "bam pooled": pytest.approx(2 / 3),
        "se resnet20 width=4": pytest.approx(-1.0),
    }


def test_real_records_give_the_difference_of_their_means() -> None:
    records = golden_records()
    values = {name: [100 * (r.metrics["test/top1_accuracy"] or 0) for r in records if r.choices["attention"] == name]
              for name in ("none", "se")}  # fmt: skip
    (line,) = report_of(records).lines
    assert line.cells[1].sort == pytest.approx(sum(values["se"]) / 3 - sum(values["none"]) / 3)
    assert line.cells[0].text == "resnet20"


@settings(max_examples=5, deadline=None)
@given(st.permutations(three_blocks()))
def test_the_order_of_runs_does_not_matter(records: list[Record]) -> None:
    expected, found = report_of(three_blocks()), report_of(records)
    assert found.lines == expected.lines
    assert found.notes == expected.notes


def test_runs_that_tables_share_count_once() -> None:
    report = report_of([*three_blocks(), *three_blocks()])
    assert report.lines == report_of(three_blocks()).lines
    assert lines_of(report)["bam resnet20 width=4"].cells[3].text == "3"


def test_runs_that_started_from_different_weights_are_not_compared() -> None:
    records = [replace(one, weights="sha256:0") if one.choices["attention"] == "se" else one for one in three_blocks()]
    found = means(report_of(records))
    assert "bam resnet20 width=4" in found
    assert not any(name.startswith("se") for name in found)


def test_costs_are_those_beyond_the_plain_network() -> None:
    cells = lines_of(report_of(three_blocks()))["bam resnet20 width=4"].cells
    assert [cell.text for cell in cells[4:]] == ["+5.0 %", "+1.0 %", "0.50×"]


def test_speeds_of_different_devices_are_not_compared() -> None:
    plain = [replace(run, resolved=replace(run.resolved, device_name="another"))
             for run in make_runs("none", [80, 81, 82])]  # fmt: skip
    (line,) = report_of([*plain, *make_runs("bam", [81, 82, 83])]).lines
    assert line.cells[-1].text == "–"


def test_the_setting_nearest_to_the_defaults_stands_for_a_method() -> None:
    runs = [*make_runs("none", [80, 81, 82]), *make_runs("bam", [90, 91, 92], options={"reduction": 8, "dilation": 2})]
    runs += make_runs("bam", [84, 85, 86], options={"reduction": 8})
    report = report_of(runs)
    assert means(report) == {"bam resnet20": pytest.approx(4.0)}
    assert report.notes == ("with reduction=8",)
    assert any("nearest to the defaults" in text and "bam in resnet20 (2 settings)" in text for text in report.remarks)


def test_rows_make_a_line_of_each_value() -> None:
    runs = [*make_runs("none", [80, 81, 82]), *make_runs("bam", [90, 91, 92], options={"reduction": 8})]
    runs += [*make_runs("bam", [84, 85, 86]), *make_runs("se", [81, 82, 83])]
    found = means(report_of(runs, "attention,attention.reduction"))
    assert found == {
        "bam reduction=8 resnet20": pytest.approx(10.0),
        "bam reduction=16 resnet20": pytest.approx(4.0),
        "se reduction=16 resnet20": pytest.approx(1.0),
    }


def test_errors_count_downwards() -> None:
    report = report_of(three_blocks(), metric="top1_error")
    assert means(report)["bam resnet20 width=8"] == pytest.approx(-2.0)
    assert report.forest is not None and report.forest.better == "left"


def test_other_data_makes_another_block_which_is_named() -> None:
    runs = [*make_runs("none", [80, 81, 82]), *make_runs("bam", [81, 82, 83])]
    other: dict[str, Any] = {"fingerprint": "other files", "all_classes": 20}
    runs += [*make_runs("none", [70, 71, 72], **other), *make_runs("bam", [72, 73, 74], **other)]
    assert list(means(report_of(runs))) == [
        "bam resnet20 · digits", "bam resnet20 · digits (10 of 20 classes)", "bam pooled"
    ]  # fmt: skip


def test_a_block_without_plain_runs_is_named_and_left_out() -> None:
    report = report_of([*three_blocks(), *make_runs("bam", [88, 89, 90], 32)])
    assert report.lines == report_of(three_blocks()).lines
    assert "Left out, as no run there has attention=none: resnet20 (bam)." in report.remarks


@pytest.mark.parametrize("attention", ["none", "bam"])
def test_networks_that_have_not_learned_are_named_and_left_out(attention: str) -> None:
    accuracies = {"none": [80.0, 81.0, 82.0], "bam": [81.0, 82.0, 83.0]} | {attention: [29.0, 29.9, 30.0]}
    runs = [run for name, values in accuracies.items() for run in make_runs(name, values, 32)]
    report = report_of([*three_blocks(), *runs])
    assert report.lines == report_of(three_blocks()).lines
    (note,) = [text for text in report.remarks if "not learned" in text]
    assert f"{attention} in resnet20 width=32 (29.6 %" in note


@pytest.mark.parametrize(("map50", "learned"), [(0.3, True), (0.09, False)])
def test_detectors_are_pooled_by_their_mean_average_precision(map50: float, learned: bool) -> None:
    plain, bam = (
        [replace(run, metrics={"test/map50": value + run.seed / 100, "test/map": value / 2}) for run in runs]
        for runs, value in ((make_runs("none", [0, 0, 0]), 0.3), (make_runs("bam", [0, 0, 0]), map50))
    )
    if learned:
        assert means(report_of([*plain, *bam], metric="map")) == {"bam resnet20": pytest.approx(50 * map50 - 15)}
    else:
        with pytest.raises(UserError, match=r"mAP50 below 10 %\): bam in resnet20 \(10.0 %, none 31.0 %\)"):
            report_of([*plain, *bam], metric="map")


def test_scores_of_maps_are_pooled() -> None:
    records = [
        replace(run, explanations=explained(**{FIRST: energy + run.seed / 100}).explanations)
        for name, energy in (("none", 0.5), ("bam", 0.6))
        for run in make_runs(name, [80, 81, 82])
    ]
    assert means(report_of(records, metric="energy_in_box")) == {"bam resnet20": pytest.approx(10)}


@pytest.mark.parametrize(
    ("classes", "top1", "learned"), [(10, 30, True), (10, 29, False), (2, 76, True), (2, 74, False)]
)
def test_three_times_chance_is_learned_or_halfway_for_few_classes(classes: int, top1: float, learned: bool) -> None:
    runs = [*make_runs("none", [top1] * 2, classes=classes), *make_runs("bam", [top1 + 9, top1 + 10], classes=classes)]
    if learned:
        assert means(report_of(runs)) == {"bam resnet20": pytest.approx(9.5)}
    else:
        with pytest.raises(UserError, match="nothing to pool: Left out, as they have not learned"):
            report_of(runs)


def test_a_single_seed_has_no_interval_and_is_marked() -> None:
    report = report_of([*make_runs("none", [80]), *make_runs("bam", [83])])
    assert report.lines[0].cells[1].text == "+3.00"
    assert report.notes == ("no spread over seeds to judge by: no interval, and not pooled",)


def test_runs_without_a_value_are_not_counted() -> None:
    lost = replace(make_runs("bam", [0, 0, 0, 0])[3], metrics={"test/top1_accuracy": float("nan")})
    report = report_of([*three_blocks(), lost])
    assert report.lines == report_of(three_blocks()).lines


@pytest.mark.parametrize(
    ("runs", "rows", "message"),
    [
        ([], None, "nothing to pool: no runs"),
        (make_runs("none", [80, 81]), None, "nothing to pool: all runs have attention=none"),
        (make_runs("bam", [80, 81]), None, "nothing to pool: Left out, as no run there has attention=none"),
        (three_blocks(), "backbone", "--rows backbone: the rows of a pooled table are attention and its options"),
        (three_blocks(), "attention.reducton", "--rows attention.reducton: no run has such a key; did you mean"),
    ],
)
def test_nothing_to_pool_and_wrong_rows_are_errors(runs: list[Record], rows: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        report_of(runs, rows)


def test_runs_that_this_version_cannot_read_are_left_out_with_the_reason() -> None:
    old = make_runs("bam", [81, 82], 8, options={"long_gone": 1})
    report = report_of([*three_blocks(), *old])
    assert report.lines == report_of(three_blocks()).lines
    assert any("Left out: attention.long_gone" in text for text in report.remarks)
