"""Scores of maps as values of cells: in per cent, of the map that the row or the column names."""

from dataclasses import replace

import pytest

from attnbench.runs.explanation_entry import ExplanationEntry, Mean
from attnbench.runs.explanations import OF_TABLES
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.tables.results.values import MissingValue, score_of_map
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import METRICS, Column, Row
from tests.runs.samples import make_finished

FIRST, SECOND = "cam/gradcam/attention", "cam/gradcam/final"


def explained(**maps: float) -> FinishedRecord:
    """A run's record whose explanation has energies by map."""
    entry = ExplanationEntry(
        checkpoint="last",
        images=500,
        pick="random",
        seed=0,
        explained_class="true",
        methods=["gradcam"],
        layers=[FIRST, SECOND],
        thresholds="validation",
        maps={name: {"energy_in_box": Mean(value, None, None, 500)} for name, value in maps.items()},
        version="1",
        written="2026-01-01T00:00:00+00:00",
    )
    return replace(make_finished(), explanations={OF_TABLES.key: entry})


def cell(metric: str = "energy_in_box", of_column: str = "", of_row: str = "") -> CellConfig:
    return CellConfig(Row("a", "a", {}, map=of_row), Column("b", "b", metric, map=of_column), None)


RECORD = explained(**{FIRST: 0.7, SECOND: 0.6, "uniform": 0.44})


@pytest.mark.parametrize(
    ("of_column", "of_row", "value"), [("", "", 70), (SECOND, "", 60), ("", "uniform", 44), (SECOND, "uniform", 44)]
)
def test_a_score_is_that_of_the_named_map(of_column: str, of_row: str, value: float) -> None:
    assert score_of_map(RECORD, cell(of_column=of_column, of_row=of_row), "last") == pytest.approx(value)


@pytest.mark.parametrize(
    ("record", "wanted", "reason"),
    [
        (make_finished(), cell(), "not explained: attnbench explain RUN --images 500"),
        (explained(), cell(), "objects in its images have no boxes"),
        (RECORD, cell(of_column="stage9.out/M"), "this network has no map stage9.out/M"),
        (RECORD, cell("pointing_game"), "not measured: attnbench explain RUN --images 500"),
        (RECORD, cell("deletion"), "not measured: attnbench explain RUN --images 500 --faithfulness"),
    ],
)
def test_a_missing_score_has_a_reason(record: FinishedRecord, wanted: CellConfig, reason: str) -> None:
    with pytest.raises(MissingValue, match=f"^{reason}$"):
        score_of_map(record, wanted, "last")


def test_explanations_travel_with_the_record() -> None:
    assert RunRecord.from_json(RECORD.to_json(), "a test's record") == RECORD
    assert "explanations" not in make_finished().to_json()


def test_low_values_of_what_should_be_low_are_better() -> None:
    lower = {
        name for name in ("insertion", "deletion", "road_morf", "road_lerf", "average_drop") if METRICS[name] == "lower"
    }
    assert lower == {"deletion", "road_morf", "average_drop"}
