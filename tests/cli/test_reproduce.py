"""attnbench reproduce and attnbench table as a user calls them: what runs, what is kept, which mistakes are errors."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.reproduce.archive import update_identities, write_records
from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.states import RunStates
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.tables.results.records import read_archived
from attnbench.tables.spec.load import load_table
from attnbench.training.experiment import Experiment
from attnbench.weights.digest import digest_of
from tests.cli.interrupt import interrupted_once, training
from tests.conftest import TINY
from tests.runs.samples import written_record
from tests.tables.lab import PROFILES, TABLE, write_broken_attention, write_table

Say = Callable[..., tuple[int, str, str]]
KEPT = Path("outputs/reproduced/lab/tiny/paper")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    write_table()

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--config-dir", "mine"])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def seconds_by_run() -> dict[str, float]:
    """Return when the records of finished runs were written."""
    return {str(run.path): run.record_file.stat().st_mtime for run in find_runs(Path("outputs")) if run.finished()}


def test_a_table_is_reproduced_and_finished_runs_are_not_repeated(say: Say) -> None:
    status, out, err = say("reproduce", "lab/tiny", "--seeds", "2")
    assert (status, err) == (0, "")
    assert "4 runs: 4 missing" in out
    assert "about " in out
    assert "4 runs: 4 trained" in out
    before = seconds_by_run()
    assert len(before) == 4
    kept = {path.name for path in KEPT.iterdir()}
    assert kept == {
        "table.md", "table.tex", "table.csv", "table.html", "records.jsonl", "environment.json",
        "per_class.json.gz", "claims.csv",
    }  # fmt: skip
    assert str(Path.cwd()).encode() not in b"".join(path.read_bytes() for path in KEPT.iterdir())

    status, again, _ = say("reproduce", "lab/tiny", "--seeds", "2")
    assert "4 runs: 4 done" in again
    assert seconds_by_run() == before
    assert again.split("kept in")[0].endswith(out.split("trained\n")[-1].split("kept in")[0])  # the same table

    _, third, _ = say("reproduce", "lab/tiny", "--seeds", "3")
    assert "6 runs: 4 done, 2 missing" in third
    assert {path: seconds_by_run()[path] for path in before} == before

    (Path("outputs") / "runs").rename("elsewhere")  # the table is made of the archived records
    status, kept_table, _ = say("table", "lab/tiny")
    assert status == 0
    assert kept_table.strip() in third
    assert say("table", "lab/tiny", "--to", "table.html")[0] == 0
    page = Path("table.html").read_text()
    assert page == (KEPT / "table.html").read_text()
    assert page.count("<summary>") == 2  # of each row, with McNemar's test of the second
    assert page.count("only plain") == 1


def test_kept_results_have_their_environment_records_and_the_identities_of_today(say: Say) -> None:
    say("reproduce", "lab/tiny", "--seeds", "1")
    (environment,) = json.loads((KEPT / "environment.json").read_text())["environments"]
    assert environment["runs"] == 2
    assert {"git", "packages", "python", "device"} <= set(environment)
    records = [json.loads(line) for line in (KEPT / "records.jsonl").read_text().splitlines()]
    assert [record["seed"] for record in records] == [0, 0]
    assert all(len(record["curve"]) == 2 for record in records)
    table = (KEPT / "table.md").read_text()
    assert "One seed: no spread, no interval and no test." in table
    untrained = any(record["test/top1_accuracy"] < 0.3 for record in records)  # after two epochs, by the machine
    assert ("not trained: its accuracy of" in table) == untrained
    assert "nobody knows how" in table

    reproduction = TableReproduction.open("lab/tiny", "paper", config_dir="mine")
    kept = read_archived(KEPT)
    write_records(KEPT, [replace(kept[0], identity="0" * 10, identity_scheme=1), kept[1]])
    assert update_identities(reproduction) == 1
    assert update_identities(reproduction) == 0
    assert read_archived(KEPT) == kept


def test_a_kept_table_remembers_runs_that_diverged(say: Say) -> None:
    write_table(TABLE.replace("attention.reduction=2]", "attention.reduction=2, recipe.lr=1e20, recipe.warmup=0]"))
    assert say("reproduce", "lab/tiny", "--seeds", "1")[0] == 1
    reproduction = TableReproduction.open("lab/tiny", "paper", config_dir="mine")
    (diverged,) = [record for record in read_archived(KEPT) if record.status == "diverged"]
    (Path("outputs") / "runs").rename("elsewhere")
    status, table, _ = say("table", "lab/tiny")
    assert status == 0
    assert "diverged: 1 of 1" in table and "not trained (diverged: 1 of 1)" in table
    jobs, _ = reproduction.jobs([0])
    assert RunStates(reproduction, jobs).of(jobs["se", "error"][0]) == "diverged"

    write_records(KEPT, [replace(diverged, identity="0" * 10, identity_scheme=1)])
    assert update_identities(reproduction) == 1
    assert read_archived(KEPT) == [diverged]


def test_a_dry_run_starts_nothing(say: Say) -> None:
    status, out, _ = say("reproduce", "lab/tiny", "--seeds", "2", "--dry-run")
    assert status == 0
    assert "2 missing" in out
    assert "about" in out
    assert out.count("stem=auto: ") == 1  # for all rows
    assert not Path("outputs").exists()


def test_results_under_other_settings_have_their_own_folder(say: Say) -> None:
    status, out, _ = say("reproduce", "lab/tiny", "--profile", "quick", "--seeds", "1", "recipe.lr=0.1", "output=there")
    assert status == 0
    assert "profile quick: smaller still" in out
    (folder,) = Path("there/reproduced/lab/tiny").iterdir()
    assert folder.name.startswith("quick-")
    assert "there" in out


def test_a_run_that_fails_does_not_stop_the_others(say: Say) -> None:
    write_broken_attention()
    row = "rows:\n  broken: {label: broken, overrides: [attention=broken]}\n"
    write_table(TABLE.replace("rows:\n", row))
    status, out, err = say("reproduce", "lab/tiny", "--seeds", "1")
    assert status == 1
    assert "broken on purpose" in err
    assert "3 runs: 2 trained, 1 failed" in out
    assert "kept in" in out
    assert "1 failed" in say("reproduce", "lab/tiny", "--seeds", "1", "--dry-run")[1]


MISTAKES = {
    ("reproduce", "lab/tinny"): "lab/tinny: no such table; did you mean lab/tiny?",
    ("reproduce", "lab/tiny", "--profile", "quik"): "--profile quik: no such profile; did you mean quick?",
    ("reproduce", "lab/tiny", "--seeds", "0"): "--seeds 0: must be at least 1",
    ("reproduce", "lab/tiny", "--seeds", "some"): "--seeds",
    ("reproduce", "lab/tiny", "--jobs", "0"): "--jobs 0: must be at least 1",
    ("reproduce", "lab/tiny", "seed=1"): "seed: attnbench reproduce chooses it",
    ("reproduce", "lab/tiny", "+run.again=true"): "run.again: attnbench reproduce chooses it",
    ("reproduce", "lab/tiny", "--to", "table.doc"): "--to table.doc: no format has this ending",
    ("reproduce", "lab/tiny", "--to", "nowhere/table.md"): "cannot be written: nowhere is not a folder",
    ("reproduce", "lab/tiny", "--to", "."): "--to .: no format has this ending",
    ("reproduce", "lab/tiny", "attention.reducton=1"): "attention.reducton: no row of lab/tiny has such a key",
    ("reproduce", "lab/tiny", "data=cifar10"): "data.download=true",
    (
        "reproduce",
        "lab/tiny",
        "attention=none",
    ): "the rows of lab/tiny differ in attention; plain and se",
    ("reproduce", "lab/tiny", "recipe.epochs=1,2"): "recipe.epochs=1,2: takes one value here; a list is written",
    ("table", "lab/tiny", "recipe.epochs=1,2"): "recipe.epochs=1,2: takes one value here; a list is written",
    ("reproduce", "lab"): "lab: no such table; did you mean lab/none or lab/tiny?",
    ("reproduce", "lab/tiny", "--to", "mine", "--format", "csv"): "--to mine: cannot be written: it is a folder",
    ("reproduce",): "name a table; attnbench list paper shows all",
    ("reproduce", "data.root=DIR"): "name a table",
    ("table", "lab"): "did you mean lab/none or lab/tiny?",
    ("reproduce", "lab/none"): "nothing in it can be run: it is not known how",
    ("table",): "name a table",
    ("table", "lab/tiny", "--rows", "attention"): "--rows: lab/tiny has its own rows and metrics",
    ("table", "lab/tiny", "bam/1b"): "bam/1b: one table at a time",
    ("table", "lab/tiny", "--to", "table.doc"): "--to table.doc: no format has this ending",
    ("table", "lab/tiny", "--to", "nowhere/table.md"): "--to nowhere/table.md: cannot be written",
    ("table", "outputs/runs/*"): "outputs/runs/*: matches no run",
    ("table", "outputs/runs/*", "--profile", "quick"): "--profile: outputs/runs/* is not a paper's table",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_a_mistake_is_an_error_and_nothing_is_written(words: tuple[str, ...], message: str, say: Say) -> None:
    whole = TABLE + "not_runnable: it is not known how\n"
    write_table(whole, name="none")
    status, _, err = say(*words)
    assert status == 2
    assert message in err
    assert all(line.startswith("attnbench: ") for line in err.splitlines())
    assert not Path("outputs").exists()


def test_cells_that_cannot_be_run_may_be_left_out(say: Say) -> None:
    columns = "columns:\n  far: {label: CIFAR, metric: top1_error, overrides: [data=cifar10]}\n"
    write_table(TABLE.replace("columns:\n", columns))
    status, out, _ = say("reproduce", "lab/tiny", "--seeds", "1", "sweep.skip_invalid=true")
    assert status == 0
    assert "left out: data=cifar10" in out
    assert "2 runs: 2 trained" in out


def test_without_runs_a_table_shows_costs_beside_the_papers(say: Say) -> None:
    status, out, _ = say("table", "lab/tiny", "--format", "csv")
    assert status == 0
    header, plain, se, lost = out.splitlines()
    assert "parameters.ours" in header
    cells = dict(zip(header.split(","), se.split(","), strict=True))
    assert cells["error.printed"] == "3.0"
    assert cells["parameters.printed"] == "9.9k"
    assert int(cells["parameters.ours"]) > int(
        dict(zip(header.split(","), plain.split(","), strict=True))["parameters.ours"]
    )
    assert "lost" in lost


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two seeds of two attentions at one and two epochs."""
    output = tmp_path_factory.mktemp("trained")
    swept = ("attention=none,se", "attention.reduction=2", "recipe.epochs=1,2", "seed=0,1", f"output={output}")
    assert main(["train", "-m", *TINY, *swept]) == 0
    return output


@pytest.fixture
def swept(say: Say, trained: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    shutil.copytree(trained, "outputs")
    capsys.readouterr()
    return say


def test_a_table_of_own_runs(swept: Say) -> None:
    _, out, _ = swept("table", "outputs/runs/*", "--rows", "attention", "--columns", "recipe.epochs", "--format", "csv")
    header, *rows = out.splitlines()
    assert [row.split(",")[0] for row in rows] == ["none", "se"]
    assert "epochs=1.last.mean" in header
    assert "epochs=2.difference.p" in header
    cells = dict(zip(header.split(","), rows[1].split(","), strict=True))
    records = [written_record(run.path) for run in find_runs(Path("outputs"))]
    mine = [r["test/top1_accuracy"] for r in records if r["choices"]["attention"] == "se" and r["epochs"] == 2]
    assert float(cells["epochs=2.last.mean"]) == pytest.approx(100 * sum(mine) / 2)
    assert cells["epochs=2.last.n"] == "2"


def test_own_runs_are_named_by_the_keys_in_which_they_differ(swept: Say) -> None:
    out = swept("table", "outputs/runs/*", "--format", "markdown")[1]
    assert all(name in out for name in ("none epochs=1", "none epochs=2", "se epochs=1", "se epochs=2"))
    assert "Mean ± standard deviation" in out
    assert "Δ" not in out  # two rows without attention: none is the baseline


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--rows", "attention"), "none: has runs that differ in recipe.epochs; name these in --rows or --columns"),
        (("--rows", "atention"), "--rows atention: no run has such a key; did you mean attention?"),
        (("--metric", "top1"), "--metric top1: no such metric"),
        (("--metric", "accuracy"), "did you mean top1_accuracy?"),
        (("recipe.lr=1",), "recipe.lr=1: a table of runs takes no overrides except output=DIR"),
    ],
)
def test_runs_that_differ_never_share_a_cell(flags: tuple[str, ...], message: str, swept: Say) -> None:
    status, _, err = swept("table", "outputs/runs/*", *flags)
    assert status == 2
    assert message in err


def test_an_evaluation_that_a_column_asks_for_is_done_once(say: Say) -> None:
    columns = (
        "columns:\n"
        "  far: {label: more, metric: error_increase, relative_to: error, evaluate: [data.distractors=16]}\n"
        "  one: {label: first, metric: response, stage: stage1}\n"
        "  two: {label: second, metric: response, stage: stage2}\n"
        "  fresh: {label: fresh, metric: response, stage: stage2, epoch: initial}\n"
    )
    text = TABLE.replace("columns:\n", columns).replace(
        "data=digits, data.validation=200",
        "data=cluttered_digits, data.train_images=300, data.validation=100, data.test_images=200",
    )
    write_table(text)
    status, _, err = say("reproduce", "lab/tiny", "--seeds", "1")
    assert (status, err.count("failed")) == (0, 0)
    entries = [json.loads(run.evaluations_file.read_text()) for run in find_runs(Path("outputs"))]
    assert all(
        set(entry)
        == {
            "last data.distractors=16",
            "best data.distractors=16",
            "last responses",
            "best responses",
            "initial responses",
        }
        for entry in entries
    )
    written = [run.evaluations_file.stat().st_mtime_ns for run in find_runs(Path("outputs"))]
    out = say("reproduce", "lab/tiny", "--seeds", "1", "--format", "csv")[1]
    assert [run.evaluations_file.stat().st_mtime_ns for run in find_runs(Path("outputs"))] == written
    lines = [line for line in out.splitlines() if "," in line]
    header = next(line for line in lines if "far.last.mean" in line).split(",")
    row = dict(zip(header, next(line for line in lines if line.startswith("plain")).split(","), strict=True))
    records = [written_record(run.path) for run in find_runs(Path("outputs"))]
    record, entry = next(
        pair for pair in zip(records, entries, strict=True) if pair[0]["choices"]["attention"] == "none"
    )
    before, after = 1 - record["test/top1_accuracy"], 1 - entry["last data.distractors=16"]["test/top1_accuracy"]
    assert float(row["far.last.mean"]) == pytest.approx((after - before) / before)
    assert float(row["one.last.mean"]) == 1.0
    found = entry["last responses"]
    assert float(row["two.last.mean"]) == pytest.approx(found["test/response/stage2"] / found["test/response/stage1"])
    fresh = entry["initial responses"]
    assert (fresh["epoch"], fresh["recorded/top1_accuracy"]) == (0, None)
    assert float(row["fresh.last.mean"]) == pytest.approx(fresh["test/response/stage2"] / fresh["test/response/stage1"])
    assert row["fresh.last.mean"] != row["two.last.mean"]


def start(*words: str) -> subprocess.Popen[bytes]:
    """The command in a session of its own."""
    command = [sys.executable, "-m", "attnbench", "reproduce", "lab/tiny", *words, "--config-dir", "mine"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with Path("log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=environment)


def test_the_same_command_continues_after_ctrl_c(say: Say) -> None:
    write_table(TABLE.replace("recipe.epochs=2", "recipe.epochs=200"))
    with interrupted_once(training):
        assert say("reproduce", "lab/tiny", "--seeds", "1")[0] == 130
    assert not list(Path("outputs").glob("reproduced/**/*"))
    done = {run.path: len(run.rows()) for run in find_runs(Path("outputs"))}
    with interrupted_once(lambda: any(len(run.rows()) > done[run.path] for run in find_runs(Path("outputs")))):
        assert say("reproduce", "lab/tiny", "--seeds", "1")[0] == 130
    assert done.keys() == {run.path for run in find_runs(Path("outputs"))}


@pytest.mark.slow
def test_kills_lose_and_repeat_no_finished_run(say: Say) -> None:
    """Twenty times: the command is killed at a random moment, with all that it started, and given again."""
    write_table(TABLE.replace("recipe.epochs=2", "recipe.epochs=12"))
    generator, finished = random.Random(0), dict[str, float]()
    for seeds in range(1, 21):
        process = start("--seeds", str(2 * seeds))
        time.sleep(generator.uniform(3, 12))
        kill_all(process)
        now = seconds_by_run()
        assert {path: now.get(path) for path in finished} == finished
        finished = now
    assert say("reproduce", "lab/tiny", "--seeds", "6")[0] == 0
    now = seconds_by_run()
    assert {path: now.get(path) for path in finished} == finished
    names = {run.path.parent.name for run in find_runs(Path("outputs"))}
    assert len(names) == 2
    assert all(RunFolder(run.path).state() != "failed" for run in find_runs(Path("outputs")))


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and everything below it: children of the scheduler are in sessions of their own."""
    below = [process.pid]
    for pid in below:
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid:
                below.append(int(path.parent.name))
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def test_the_users_profiles_are_added() -> None:
    folder = str(write_table(profiles=PROFILES + "mine: {says: mine}\n"))
    assert load_table("lab/tiny", folder).name == "lab/tiny"
    assert main(["table", "lab/tiny", "--profile", "mine", "--config-dir", folder]) == 0


def test_overrides_that_only_affect_speed_do_not_change_where_a_table_is_kept() -> None:
    write_table()

    def folder(*overrides: str) -> Path:
        return TableReproduction.open("lab/tiny", "paper", overrides, "mine").folder

    assert folder("trainer.threads=1", "trainer.progress=false", "output=outputs") == KEPT
    assert folder("recipe.lr=0.3") != KEPT


def test_a_part_of_a_table_is_trained_alone(say: Say) -> None:
    status, out, _ = say("reproduce", "lab/tiny", "--seeds", "1", "--only", "se,error")
    assert status == 0
    assert "1 runs: 1 missing" in out
    assert len(seconds_by_run()) == 1
    say("reproduce", "lab/tiny", "--seeds", "1", "--only", "plain")
    status, out, _ = say("reproduce", "lab/tiny", "--seeds", "1")
    assert "2 runs: 2 done" in out
    assert len(read_archived(KEPT)) == 2


@pytest.mark.slow
def test_a_part_keeps_the_other_rows_results(say: Say) -> None:
    say("reproduce", "lab/tiny", "--seeds", "1", "--only", "plain")
    say("reproduce", "lab/tiny", "--seeds", "1", "--only", "se")
    assert len(read_archived(KEPT)) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--only", "plian"), "--only plian: lab/tiny has no such row or column; did you mean plain?"),
        (("--only", ","), "--only: its value is empty; give it one, or leave the flag out"),
        (("--only", ""), "--only: its value is empty; give it one, or leave the flag out"),
        (("--only", "lost"), "--only lost: nothing of lab/tiny that it names can be run"),
        (("--only", "se", "--until-decided"), "--only se: not with --until-decided"),
    ],
)
def test_a_wrong_part_is_one_line(say: Say, words: tuple[str, ...], message: str) -> None:
    status, _, err = say("reproduce", "lab/tiny", *words)
    assert status == 2
    assert message in err
    assert not seconds_by_run()


def test_runs_that_started_from_another_file_of_weights_are_left_out(say: Say) -> None:
    write_table(TABLE.replace("backbone.width=4,", "backbone.width=4, backbone.weights=start.pt,"))
    words = ["data=digits", "backbone.width=4", "attention=none"]
    for number in range(2):
        state = Experiment(compose(words)).build_network().backbone.state_dict()
        torch.save(
            {name: value / (1 + number) for name, value in state.items() if value.is_floating_point()}, "start.pt"
        )
        _, out, _ = say("reproduce", "lab/tiny", "--seeds", "1", "--dry-run")
        assert "2 runs: 2 missing" in out
        assert ("left out: 2 runs kept in" in out) == (number == 1)
        assert say("reproduce", "lab/tiny", "--seeds", "1")[0] == 0
        assert [record.weights for record in read_archived(KEPT)] == [digest_of("start.pt")] * 2
