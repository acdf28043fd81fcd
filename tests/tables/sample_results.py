"""Inputs of a report with made-up values, on records that are otherwise those of the golden table."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import Claim, Column, PaperTable, Profile, Row

GOLDEN = Path(__file__).parent / "golden" / "records.jsonl"
Numbers = Mapping[int, float]


def golden_record() -> FinishedRecord:
    """The first record of the golden table."""
    import json

    record = RunRecord.from_json(json.loads(GOLDEN.read_text().splitlines()[0]), GOLDEN)
    assert isinstance(record, FinishedRecord)
    return record


RECORD = golden_record()


def result(
    row: Row, column: Column, values: Numbers, identity: str, accuracy: float, evaluate: Sequence[str] = ()
) -> Result:  # fmt: skip
    """A cell's result; runs of one identity are the same."""
    records = {
        seed: replace(RECORD, identity=identity, seed=seed, metrics={"test/top1_accuracy": accuracy}, curve=[])
        for seed in values
    }
    return Result(
        CellConfig(row, column, None, tuple(evaluate)),
        records,
        {"last": dict(values), "best": {}},
        {"last": "", "best": ""},
    )


def inputs(
    values: Mapping[Key, Numbers],
    claims: Sequence[Claim] = (),
    *,
    metric: str = "top1_error",
    runs: Mapping[Key, str] | None = None,
    accuracy: Mapping[Key, float] | None = None,
    printed: Mapping[str, str] | None = None,
    baseline: str = "",
    evaluate: Mapping[Key, Sequence[str]] | None = None,
) -> ReportInputs:
    """Inputs with the rows and columns of the values; every cell has its own runs unless `runs` names them."""
    columns = {name: Column(name, name, metric) for _, name in values}
    rows = {
        name: Row(name, name, {next(iter(columns)): text} if (text := (printed or {}).get(name)) else {})
        for name, _ in values
    }
    table = PaperTable("made/up", "Made up", "", columns, rows, baseline=baseline, claims=tuple(claims))
    results = {
        key: result(
            rows[key[0]],
            columns[key[1]],
            numbers,
            (runs or {}).get(key, "/".join(key)),
            (accuracy or {}).get(key, 0.9),
            (evaluate or {}).get(key, ()),
        )
        for key, numbers in values.items()
    }
    return ReportInputs(table, Profile("paper", (), {}, "as written"), results, {})
