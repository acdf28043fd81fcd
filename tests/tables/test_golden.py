"""Stored records give a stored table, byte for byte; `ATTNBENCH_REWRITE_GOLDEN=1 pytest` stores the tables again."""

import json
import os
import shutil
from pathlib import Path

import pytest

from attnbench.cli.main import main
from tests.tables.lab import write_table

GOLDEN = Path(__file__).parent / "golden"
KEPT = Path("outputs/reproduced/lab/tiny/paper")
FORMS = {"markdown": "md", "latex": "tex", "csv": "csv", "terminal": "txt"}


@pytest.fixture(autouse=True)
def stored() -> None:
    write_table()
    KEPT.mkdir(parents=True)
    shutil.copy(GOLDEN / "records.jsonl", KEPT)


@pytest.mark.parametrize(("form", "ending"), FORMS.items())
def test_stored_records_give_the_stored_table(form: str, ending: str) -> None:
    made, golden = Path(f"made.{ending}"), GOLDEN / f"table.{ending}"
    assert main(["table", "lab/tiny", "--config-dir", "mine", "--format", form, "--to", str(made)]) == 0
    if os.environ.get("ATTNBENCH_REWRITE_GOLDEN"):
        shutil.copy(made, golden)
    assert made.read_bytes() == golden.read_bytes()


@pytest.mark.smoke
def test_values_are_those_of_the_records(capsys: pytest.CaptureFixture[str]) -> None:
    records = [json.loads(line) for line in (GOLDEN / "records.jsonl").read_text().splitlines()]
    errors = {
        name: {r["seed"]: 100 * (1 - r["test/top1_accuracy"]) for r in records if r["choices"]["attention"] == name}
        for name in ("none", "se")
    }
    assert main(["table", "lab/tiny", "--config-dir", "mine", "--format", "csv"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    rows = {line.split(",")[0]: dict(zip(header.split(","), line.split(","), strict=True)) for line in lines}
    for row, name in (("plain", "none"), ("se", "se")):
        values = [rows[row][f"error.last.seed{seed}"] for seed in range(3)]
        assert [float(value) for value in values] == pytest.approx(list(errors[name].values()))
        assert float(rows[row]["error.last.mean"]) == pytest.approx(sum(errors[name].values()) / 3)
    differences = [errors["se"][seed] - errors["none"][seed] for seed in range(3)]
    assert float(rows["se"]["error.difference.mean"]) == pytest.approx(sum(differences) / 3)
    assert rows["se"]["error.difference.spread"] == "pooled"
    assert rows["lost"]["error.last.reason"] == "nobody knows how"
    assert rows["lost"]["error.last.n"] == "0"


def test_runs_of_several_code_versions_are_reported(capsys: pytest.CaptureFixture[str]) -> None:
    lines = (KEPT / "records.jsonl").read_text().splitlines()
    record = json.loads(lines[0])
    record["environment"]["git"]["commit"] = "abcdef0123"
    (KEPT / "records.jsonl").write_text("\n".join([json.dumps(record), *lines[1:]]))
    assert main(["table", "lab/tiny", "--config-dir", "mine"]) == 0
    assert "The runs come from 2 versions of the code: " in capsys.readouterr().out


def test_a_damaged_file_of_records_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with (KEPT / "records.jsonl").open("a") as stream:
        stream.write('{"half": ')
    assert main(["table", "lab/tiny", "--config-dir", "mine"]) == 2
    assert "records.jsonl, line 7: damaged: it is no JSON" in capsys.readouterr().err
