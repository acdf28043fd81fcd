"""attnbench table --pooled: where runs come from, formats and files, and mistakes."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.reproduce.archive import write_records
from attnbench.runs.files import write_json
from attnbench.runs.record import RunRecord
from tests.runs.samples import as_diverged
from tests.tables.lab import write_table
from tests.tables.pooled_lab import golden_records, three_blocks

GOLDEN = Path(__file__).parent.parent / "tables" / "golden"
KEPT = Path("outputs/reproduced/lab/tiny")
Capture = pytest.CaptureFixture[str]


def keep(records: Sequence[RunRecord], profile: str = "quick") -> None:
    (KEPT / profile).mkdir(parents=True, exist_ok=True)
    write_records(KEPT / profile, records)


def write_runs(records: Sequence[RunRecord]) -> None:
    for number, record in enumerate(records):
        folder = Path("outputs/runs") / f"run{number}-{number:010x}" / f"seed{record.seed}"
        folder.mkdir(parents=True)
        write_json(folder / "record.json", record.to_json())


def pooled(*words: str) -> int:
    return main(["table", "--pooled", *words])


@pytest.mark.parametrize(
    ("form", "ending"), [("terminal", "txt"), ("csv", "csv"), ("markdown", "md"), ("latex", "tex")]
)
def test_made_records_give_the_stored_table(form: str, ending: str) -> None:
    """After an intended change: ATTNBENCH_REWRITE_GOLDEN=1, then read the diff."""
    keep(three_blocks())
    made, golden = Path(f"made.{ending}"), GOLDEN / f"pooled.{ending}"
    assert pooled("outputs/reproduced", "--format", form, "--to", str(made)) == 0
    if os.environ.get("ATTNBENCH_REWRITE_GOLDEN"):
        golden.write_bytes(made.read_bytes())
    assert made.read_bytes() == golden.read_bytes()


def test_the_csv_has_all_numbers() -> None:
    keep(three_blocks())
    assert pooled("outputs/reproduced", "--to", "made.csv") == 0
    with Path("made.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["key"]: row for row in csv.DictReader(stream)}
    first, last = rows["bam resnet20 width=4"], rows["bam pooled"]
    assert (first["block.method"], first["block.block"]) == ("bam", "resnet20 width=4")
    assert (float(first["parameters"]), float(first["speed"])) == pytest.approx((0.05, 0.5))
    assert float(first["difference.df"]) == 6  # three arms of three seeds
    assert float(last["difference.predicted_low"]) < float(last["difference.low"]) < 0 < float(last["difference.tau"])


@pytest.mark.parametrize(
    "names", [["outputs"], ["outputs/runs/*"], ["outputs/reproduced", "outputs/runs/*"], ["lab/tiny", "outputs/runs/*"]]
)
def test_runs_and_kept_tables_are_found_and_shared_ones_count_once(names: list[str], capsys: Capture) -> None:
    write_table()
    keep(three_blocks()[:9])
    write_runs(three_blocks())
    assert pooled(*names, "--config-dir", "mine") == 0
    assert "21 different runs" in capsys.readouterr().out


def test_a_profile_chooses_among_kept_tables(capsys: Capture) -> None:
    keep(three_blocks())
    keep(golden_records(), "small")
    assert pooled("outputs/reproduced", "--profile", "small") == 0
    assert "6 different runs, from 1 kept table of profile small." in capsys.readouterr().out


@pytest.mark.parametrize("place", ["outputs/reproduced", "outputs/runs/*"])
def test_a_configuration_with_a_run_that_diverged_is_left_out(place: str, capsys: Capture) -> None:
    records: list[RunRecord] = [*three_blocks()]
    records[-1:] = [as_diverged(three_blocks()[-1])]
    if place == "outputs/runs/*":
        write_runs(records)
    else:
        keep(records)
    assert pooled(place) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Left out: se in resnet20 on digits (diverged: 1 of 3)." in out
    assert "not finished" not in out
    assert "18 different runs" in out


def test_unfinished_runs_are_counted(capsys: Capture) -> None:
    write_runs(three_blocks())
    (Path("outputs/runs") / "new-0123456789" / "seed0").mkdir(parents=True)
    (Path("outputs/runs") / "new-0123456789" / "seed0" / "config.yaml").touch()
    assert pooled("outputs/runs/*") == 0
    assert "1 run that is not finished is left out." in capsys.readouterr().out


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_picture_is_the_forest_plot(ending: str, start: bytes) -> None:
    keep(three_blocks())
    assert pooled("outputs/reproduced", "--to", f"forest.{ending}") == 0
    assert Path(f"forest.{ending}").read_bytes().startswith(start)


def test_the_page_has_the_forest_plot() -> None:
    keep(three_blocks())
    assert pooled("outputs/reproduced", "--to", "forest.html") == 0
    page = Path("forest.html").read_text(encoding="utf-8")
    assert page.count("<svg ") == 1 and "pooled, 3 blocks" in page and "var(--ink)" in page


def header(capsys: Capture, *flags: str) -> str:
    assert pooled("outputs/reproduced", *flags, "--format", "markdown") == 0
    out = capsys.readouterr().out
    assert ("Speeds are those of training" in out) == ("training speed" in out)
    return next(line for line in out.splitlines() if line.startswith("| block"))


def test_speed_is_shown_only_when_it_is_named(capsys: Capture) -> None:
    keep(three_blocks())
    plain = header(capsys)
    assert "training speed" not in plain and "parameters" in plain and "seeds" in plain
    named = header(capsys, "--columns", "default,speed")
    assert "training speed" in named and "parameters" in named and "seeds" in named
    alone = header(capsys, "--columns", "measured")
    assert "training speed" in alone and "parameters" not in alone and "seeds" not in alone
    assert "none" in header(capsys, "--columns", "none,costs")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "attnbench table --pooled: name kept tables (bam/1b), runs, or a folder of either"),
        (["nix"], "nix: no such run here or in outputs/runs"),
        (["bam/1z"], "did you mean bam/1"),
        (["bam/1b"], "bam/1b: no results are kept below outputs/reproduced/bam/1b"),
        (["outputs/reproduced", "--profile", "nix"], "outputs/reproduced: no results are kept in profile nix"),
        (["outputs/runs/*", "--profile", "quick"], "--profile quick: outputs/runs/* is not a kept table"),
        (["outputs/reproduced", "--columns", "sped"], "--columns sped: no such column; did you mean speed?"),
        (["outputs/reproduced", "--bootstrap"], "--bootstrap: not for --pooled"),
        (["outputs/reproduced", "--metric", "accuracy"], "--metric accuracy: no such metric; did you mean"),
        (["outputs/reproduced", "--rows", "data"], "--rows data: the rows of a pooled table are attention"),
        (["outputs/reproduced", "recipe.epochs=3"], "recipe.epochs=3: a table of runs takes no overrides"),
        (["outputs/reproduced", "--to", "nowhere/forest.png"], "--to nowhere/forest.png: cannot be written"),
        (["outputs/reproduced", "--to", "forest.gif"], "--to forest.gif: no format has this ending"),
    ],
)
def test_mistakes_are_one_line(words: list[str], message: str, capsys: Capture) -> None:
    keep(three_blocks())
    assert pooled(*words) == 2
    out, error = capsys.readouterr()
    assert out == "" and message in error and error.count("\n") == 1


def test_damaged_kept_records_are_an_error(capsys: Capture) -> None:
    keep(three_blocks())
    with (KEPT / "quick" / "records.jsonl").open("a") as stream:
        stream.write('{"half": ')
    assert pooled("outputs/reproduced") == 2
    assert "records.jsonl, line 22: damaged" in capsys.readouterr().err
