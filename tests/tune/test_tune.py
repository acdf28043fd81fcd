"""`attnbench tune` as a command: killed and started again, and the table at its end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from attnbench.runs.folder import find_runs
from attnbench.runs.record import FinishedRecord
from tests.conftest import TINY

optuna = pytest.importorskip("optuna")
ROOT = Path(__file__).parents[2]
WORDS = ("tune", *TINY, "tune.startup=3", "tune.final_seeds=2")


def start(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "attnbench", *WORDS, *words]
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def trials_in(output: str) -> dict[str, list[Any]]:
    """Return the trials of a tuning by study."""
    (folder,) = Path(output, "tuned").iterdir()
    storage = f"sqlite:///{folder.absolute() / 'study.db'}"
    names = optuna.get_all_study_names(storage)
    return {name: optuna.load_study(study_name=name, storage=storage).get_trials() for name in names}


def finished_trials(output: str) -> int:
    try:
        return sum(trial.state.is_finished() for trials in trials_in(output).values() for trial in trials)
    except Exception:  # there is no folder yet, or no study in it
        return 0


@pytest.mark.slow
def test_a_study_of_12_trials_is_killed_and_goes_on() -> None:
    words = ("attention=none", "tune.trials=12", "recipe.epochs=1", "tune.pruner=none", "tune.parallel=2")
    first = start(*words, "output=killed")
    while finished_trials("killed") < 5:
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    (begun,) = trials_in("killed").values()
    done = {run.path: run.record_file.read_bytes() for run in find_runs(Path("killed")) if run.finished()}
    assert 5 <= len(done) < 12
    for output in ("killed", "whole"):
        process = start(*words, f"output={output}")
        text, _ = process.communicate()
        assert process.returncode == 0, text
        assert "A comparison after equal tuning: 12 trials of each method" in " ".join(text.split())
    # no trial is lost, and none is run twice
    (after,), (whole,) = trials_in("killed").values(), trials_in("whole").values()
    assert len(after) == 12
    # a kill may come before a trial has its values
    assert all(early.params in ({}, late.params) for early, late in zip(begun, after, strict=False))
    assert all(path.joinpath("record.json").read_bytes() == content for path, content in done.items())
    # the same values were tried, with the same results, as without the kill
    assert [(trial.params, trial.value) for trial in after] == [(trial.params, trial.value) for trial in whole]
    records = [run.record() for run in find_runs(Path("killed"))]
    assert len(records) == 12 + 2
    tested = [record for record in records if isinstance(record, FinishedRecord) and record.config["test"]]
    assert sorted(record.seed for record in tested) == [1, 2]
    others = [record for record in records if record is not None and not record.config["test"]]
    assert len(others) == 12
    assert all(isinstance(other, FinishedRecord) and other.metrics["test/top1_accuracy"] is None for other in others)


@pytest.mark.slow
def test_trials_are_stopped_and_the_winners_are_compared() -> None:
    words = ("attention=none,se", "attention.reduction=2", "tune.trials=5", "tune.grace=0", "recipe.epochs=4")
    process = start(*words, "--to", "table.csv")
    text, _ = process.communicate()
    assert process.returncode == 0, text
    (folder,) = Path("outputs/tuned").iterdir()
    result = json.loads((folder / "tuning.json").read_text())
    assert result["methods"].keys() == {"none", "se"}
    for method in result["methods"].values():
        assert sum(method["trials"].values()) == 5 and method["trials"]["running"] == 0
        assert len(method["selected"]) == 2
    states = [trial.state.name for trials in trials_in("outputs").values() for trial in trials]
    assert text.count("other trials are better") == states.count("PRUNED")
    assert Path("table.csv").read_text().count("\n") >= 2
    for name in ("table.md", "table.html", "table.tex", "table.csv", "claims.csv"):
        assert "after equal tuning" in (folder / name).read_text() or name.endswith("csv")
    again = start(*words)
    assert "4 runs: 4 already trained" in again.communicate()[0]
