"""Tables of the user's runs: those that diverged are shown instead of an accuracy."""

from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import Composer
from attnbench.runs.folder import RunFolder
from attnbench.runs.record import RunRecord
from tests.runs.samples import COSTS, record_json


def write_runs(attention: str, states: str) -> None:
    """Write the records of a kind's seeds: finished, diverged or interrupted, by their first letters."""
    config = Composer().compose(["data=digits", "backbone.width=4", f"attention={attention}"])
    for seed, state in enumerate(states):
        status = {"f": "finished", "d": "diverged", "i": "interrupted"}[state]
        own = {"choices": config.choices, "config": {**config.values, "seed": seed}, "identity": attention}
        path = Path("outputs/runs") / f"digits-resnet20-{attention}-{attention}" / f"seed{seed}"
        path.mkdir(parents=True)
        accuracy = {"test/top1_accuracy": 0.9 + seed / 100} if state == "f" else dict(COSTS)
        record = RunRecord.from_json(record_json(status, **{**accuracy, **own, "seed": seed}), path)
        RunFolder(path).write_record(record)


def table(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["table", "outputs/runs/*", *flags]) == 0
    return capsys.readouterr().out


def test_runs_that_diverged_are_shown_instead_of_an_accuracy(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", "fff")
    write_runs("bam", "fdfdf")
    write_runs("se", "ddi")
    lines = [line.split() for line in table(capsys).splitlines()]
    assert ["none", "91.00", "±", "1.00"] in [line[:4] for line in lines]
    assert ["bam", "diverged:", "2", "of", "5"] in [line[:5] for line in lines]
    assert ["se", "diverged:", "2", "of", "2"] in [line[:5] for line in lines]


def test_programs_get_the_reason_and_no_mean_of_runs_that_diverged(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("none", "fff")
    write_runs("bam", "ffd")
    assert "diverged: 1 of 3" in table(capsys, "--format", "csv")
    for form in ("markdown", "latex", "html"):
        assert "diverged: 1 of 3" in table(capsys, "--format", form)


def test_a_table_in_which_all_diverged(capsys: pytest.CaptureFixture[str]) -> None:
    write_runs("bam", "ddddd")
    assert "diverged: 5 of 5" in table(capsys)
