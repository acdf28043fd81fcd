"""attnbench reproduce --until-decided as a user calls it: who gets seeds, when it stops, what it prints and resumes."""

import os
import re
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cli.decision_flags import most_seeds
from attnbench.cli.main import main
from attnbench.cli.reproduce import parse
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.lock import owner_of
from attnbench.runs.metric_names import TEST_TOP1
from attnbench.runs.record import FinishedRecord
from tests.cli.interrupt import interrupted_once, training
from tests.cli.test_reproduce import Say, start
from tests.tables.lab import TABLE, write_broken_attention, write_table

LEARNS = TABLE.replace("recipe.epochs=2", "recipe.epochs=3")
"""Networks that end above three times chance, so that claims about them are judged."""
THREE_ROWS = LEARNS.replace(
    "  lost:", "  still: {label: still, overrides: [attention=none, recipe.lr=1e-9]}\n  lost:"
).replace(
    "notes:",
    "  - {says: standing still is worse, pairs: [[plain, still]]}\n"
    "  - {says: the lost one is best, pairs: [[lost, plain]]}\n"
    "notes:",
)  # fmt: skip
COMMAND = ("reproduce", "lab/tiny", "--until-decided")


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    write_table(THREE_ROWS)

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--config-dir", "mine"])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def seeds_by_run() -> Counter[str]:
    """Return the number of finished seeds of each row."""
    records = [run.record() for run in find_runs(Path("outputs")) if run.finished()]
    return Counter(
        "still" if record.config["recipe"]["lr"] < 1e-6 else record.choices["attention"] for record in records if record
    )


def results() -> dict[tuple[str, int], float | None]:
    """Return the test accuracy of every run, by identity and seed."""
    records = [run.record() for run in find_runs(Path("outputs")) if run.finished()]
    found = [record for record in records if isinstance(record, FinishedRecord)]
    return {(record.identity, record.seed): record.metrics[TEST_TOP1] for record in found}


def wait_until_free() -> None:
    """Wait until no process trains a run, as a killed command's own children end a little later."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and any(owner_of(run.path) for run in find_runs(Path("outputs"))):
        time.sleep(0.2)


@pytest.mark.slow
def test_rounds_go_to_open_claims_alone_and_nothing_is_trained_twice(say: Say) -> None:
    status, out, err = say(*COMMAND, "--seeds", "2", "--max-seeds", "3", "--budget", "1h")
    assert (status, err) == (0, "")
    assert "until decided: 2 to 3 seeds a row, a budget of 1 h 00 min, counted from now" in out
    assert re.search(r"round 1: 6 runs, about .* of .* left", out)
    assert re.search(r"SE helps +not run +0 +plain × 2, SE × 2", out)
    assert "all claims are decided or hopeless after" in out
    assert re.search(r"standing still is worse +hopeless +not trained", out)
    assert re.search(r"the lost one is best +hopeless +not run", out)
    assert re.search(r"SE helps +(decided|hopeless) +(supported|contradicted|equivalent|inconclusive)", out)
    counts = seeds_by_run()
    assert counts["still"] == 2  # its network has not learned: only the start
    assert set(counts.values()) <= {2, 3}
    assert "kept in outputs/reproduced/lab/tiny/paper" in out

    status, again, _ = say(*COMMAND, "--seeds", "2", "--max-seeds", "3", "--budget", "1h")
    assert status == 0
    assert "round 1" not in again
    assert seeds_by_run() == counts

    shutil.rmtree("outputs/runs")  # as on another machine: the records that are kept count
    status, kept, _ = say(*COMMAND, "--seeds", "2", "--max-seeds", "3", "--dry-run")
    assert f"{sum(counts.values())} runs: {sum(counts.values())} kept" in kept
    assert "0 rounds with 0 runs" in kept
    assert say("reproduce", "lab/tiny", "--seeds", "2")[0] == 0
    assert not Path("outputs/runs").exists()


@pytest.mark.slow
def test_a_kept_run_is_not_trained_again_but_a_further_seed_is(say: Say) -> None:
    write_table()
    say("reproduce", "lab/tiny", "--seeds", "1")
    shutil.rmtree("outputs/runs")
    out = say("reproduce", "lab/tiny", "--seeds", "2")[1]
    assert "4 runs: 2 missing, 2 kept" in out or "4 runs: 2 kept, 2 missing" in out
    assert "2 runs: 2 trained" in out
    assert seeds_by_run() == {"none": 1, "se": 1}
    assert "Each cell has 2 seeds." in out


@pytest.mark.slow
def test_a_kept_record_without_an_evaluation_that_the_table_asks_for_is_trained_again(say: Say) -> None:
    write_table()
    say("reproduce", "lab/tiny", "--seeds", "1")
    shutil.rmtree("outputs/runs")
    write_table(TABLE.replace("columns:\n", "columns:\n  one: {label: first, metric: response, stage: stage1}\n"))
    assert "2 runs: 2 missing" in say("reproduce", "lab/tiny", "--seeds", "1", "--dry-run")[1]


def test_a_dry_run_says_what_the_budget_buys(say: Say) -> None:
    status, out, _ = say(*COMMAND, "--budget", "100h", "--max-seeds", "4", "--dry-run")
    assert status == 0
    assert "within 100 h 00 min, as long as no claim is decided: 2 rounds with 12 runs in about" in out
    assert re.search(r"SE helps +not run +4 +\d\.\d standard deviations of a run +not known yet", out)
    assert not Path("outputs").exists()


@pytest.mark.slow
def test_a_round_that_was_killed_goes_on_and_ends_like_one_that_was_not(say: Say) -> None:
    command = (*COMMAND, "--seeds", "2", "--max-seeds", "3")
    process = start(*command[2:], "--jobs", "1")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(seeds_by_run()) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
    finished = seeds_by_run()
    assert finished
    wait_until_free()
    assert say(*command)[0] == 0
    after_kill, kept = results(), Path("outputs/reproduced/lab/tiny/paper/claims.csv").read_text("utf-8")
    assert seeds_by_run() >= finished

    shutil.rmtree("outputs")
    assert say(*command)[0] == 0
    assert results() == after_kill
    assert Path("outputs/reproduced/lab/tiny/paper/claims.csv").read_text("utf-8") == kept


def test_a_round_that_does_not_fit_is_not_begun(say: Say) -> None:
    status, out, _ = say(*COMMAND, "--budget", "0.001s")
    assert status == 0
    assert "round 1" not in out
    assert "with 2 open claims, after" in out
    assert not list(find_runs(Path("outputs")))


def test_a_row_whose_runs_fail_gets_no_further_seeds(say: Say) -> None:
    write_broken_attention()
    write_table(LEARNS.replace("[attention=se, attention.reduction=2]", "[attention=broken]"))
    status, out, err = say(*COMMAND, "--seeds", "1")
    assert status == 1
    assert "broken on purpose" in err
    assert "2 runs: 1 trained, 1 failed" in out
    assert "round 2" not in out
    assert "a run that it needs failed" in out


def test_ctrl_c_ends_as_elsewhere(say: Say) -> None:
    write_table(TABLE.replace("recipe.epochs=2", "recipe.epochs=200"))
    with interrupted_once(training):
        assert say(*COMMAND, "--seeds", "1", "--budget", "10h")[0] == 130
    assert not list(Path("outputs").glob("reproduced/**/*"))
    assert any(RunFolder(run.path).state() == "interrupted" for run in find_runs(Path("outputs")))


MISTAKES: dict[tuple[str, ...], str] = {
    ("--until-decided", "--budget", "2x"): "--budget 2x: must be a time above 0 such as 90m, 2h or 1h30m",
    ("--until-decided", "--budget", "0h"): "--budget 0h: must be a time above 0",
    ("--budget", "2h"): "--budget 2h: needs --until-decided",
    ("--max-seeds", "5"): "--max-seeds 5: needs --until-decided",
    ("--until-decided", "--max-seeds", "2"): "--max-seeds 2: must be at least the 3 seeds of the start",
    ("--until-decided", "--max-seeds", "some"): "--max-seeds",
    ("--until-decided", "--seeds", "0"): "--seeds 0: must be at least 1",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_a_mistake_is_one_line(words: tuple[str, ...], message: str, say: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = say("reproduce", "lab/tiny", *words)
    assert (status, err.count("\n")) == (2, 1)
    assert message in err


def test_a_table_without_claims_has_nothing_to_decide(say: Say) -> None:
    write_table(TABLE.partition("claims:")[0] + "notes: [Made up.]\n")
    status, _, err = say(*COMMAND)
    assert (status, err) == (2, "attnbench: --until-decided: lab/tiny makes no claims\n")


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("--until-decided",), 20),
        (("--until-decided", "--seeds", "30"), 30),
        (("--until-decided", "--max-seeds", "7"), 7),
        (("--seeds", "5"), 5),
    ],
)
def test_a_row_gets_at_most_20_seeds_unless_more_are_asked_for(words: tuple[str, ...], most: int) -> None:
    assert most_seeds(parse(["lab/tiny", *words])) == most
