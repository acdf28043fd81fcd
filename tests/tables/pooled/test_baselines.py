"""Runs whose attention is switched off by its own options, as the baseline of that attention."""

import json
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.tables.report import Line, Report
from attnbench.tables.results.records import Record
from tests.tables.pooled_lab import make_runs, report_of, three_blocks

KEPT = Path(__file__).parents[3] / "outputs" / "reproduced"
OFF = {"channel": False, "spatial": False, "lambda": 0.0}
LACKING = (
    "Left out, as no run there has attention=none: resnet20 (ggam). Runs of ggam with channel=false, spatial=false, "
    "lambda=0 and the same pooling, head, head_width would be a baseline too."
)


def on_and_off(width: int = 32) -> list[Record]:
    """Return runs of GGAM, of GGAM without a guide, and of its head alone; the first add 3 points to the last."""
    runs = [*make_runs("ggam", [82, 83, 84], width), *make_runs("ggam", [84, 85, 86], width, {"lambda": 0.0})]
    return [*runs, *make_runs("ggam", [79, 80, 81], width, OFF)]


def ggam_lines(report: Report) -> list[Line]:
    return [line for line in report.lines if line.section.startswith("ggam")]


def test_without_attention_none_the_own_runs_that_are_off_are_the_baseline() -> None:
    report = report_of([*three_blocks(), *on_and_off()])
    (line,) = ggam_lines(report)
    assert [line.cells[place].sort for place in (1, 2)] == pytest.approx([3.0, 80.0])
    assert [report.notes[mark - 1] for mark in line.cells[0].marks] == [
        "minus its own head without attention, not attention=none"
    ]
    others = [other.cells[1] for other in report.lines if other is not line]
    assert others == [other.cells[1] for other in report_of(three_blocks()).lines]


def test_the_forest_plot_says_so_below_the_name() -> None:
    forest = report_of([*three_blocks(), *on_and_off()]).forest
    assert forest is not None
    remarks = {group.name: group.remark for group in forest.groups}
    assert remarks == {"bam": "", "ggam": "minus its own head without attention", "se": ""}
    forest = report_of([*on_and_off(), *make_runs("none", [80, 81, 82]), *make_runs("ggam", [81, 82, 83])]).forest
    assert forest is not None
    assert forest.groups[0].remark == "in part minus its own head without attention"


def test_attention_none_comes_first_and_what_is_off_is_no_line() -> None:
    runs = [*on_and_off(), *make_runs("none", [78, 79, 80], 32)]
    (line,) = ggam_lines(report_of(runs))
    assert line.cells[1].sort == pytest.approx(4.0)
    assert not line.cells[0].marks
    with pytest.raises(UserError, match="nothing to pool"):
        report_of([*make_runs("none", [78, 79, 80]), *make_runs("ggam", [79, 80, 81], options=OFF)])


@pytest.mark.parametrize(
    "baseline", [[], make_runs("ggam", [79, 80, 81], 32, {**OFF, "head": "linear"})], ids=["none", "another head"]
)
def test_without_a_baseline_a_line_says_what_would_be_one(baseline: list[Record]) -> None:
    report = report_of([*three_blocks(), *make_runs("ggam", [82, 83, 84], 32), *baseline])
    assert report.lines == report_of(three_blocks()).lines
    assert LACKING in report.remarks


def test_options_that_have_no_effect_without_attention_may_differ() -> None:
    runs = [*on_and_off(), *make_runs("ggam", [83, 84, 85], 32, {"weight_norm": "zscore"})]
    found = {line.section: line.cells[1].sort for line in ggam_lines(report_of(runs, "attention.weight_norm"))}
    assert found == {"ggam weight_norm=none": pytest.approx(3.0), "ggam weight_norm=zscore": pytest.approx(4.0)}


def test_a_baseline_that_has_not_learned_is_named() -> None:
    runs = [*make_runs("ggam", [82, 83, 84], 32), *make_runs("ggam", [19, 20, 21], 32, OFF)]
    report = report_of([*three_blocks(), *runs])
    assert not ggam_lines(report)
    assert any(text.endswith("ggam in resnet20 width=32 (20.0 %).") for text in report.remarks)


def test_kept_runs_of_ggam_are_compared_with_its_head() -> None:
    lines = (KEPT / "ggam" / "ablation" / "small" / "records.jsonl").read_text(encoding="utf-8").splitlines()
    records = [record for line in lines if isinstance(record := Record.from_json(json.loads(line), "kept"), Record)]
    (line,) = ggam_lines(report_of(records))
    assert line.cells[1].text == "−2.14 [−3.74, −0.54]"
