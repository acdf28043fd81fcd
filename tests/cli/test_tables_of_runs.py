"""Tables and lists of many runs: records alone are enough, and names say what runs differ in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.runs.files import write_json
from attnbench.runs.folder import RunFolder
from tests.runs.samples import record_json

Say = Callable[..., tuple[int, str, str]]
SWEEP = (("attention=bam", "attention.reduction=8"), ("attention=none",), ("attention=bam", "attention.reduction=4"))
HOSTILE = "\x1b[2J[red]x[/b]\r\n"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(list(words))
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def write_run(number: int, *overrides: str, seed: int = 0, fingerprint: str = "digits", package: str = "") -> None:
    """Write the record of a run, the `number`th to be started; of an attention of a package if one is named."""
    config = compose(["data=digits", "backbone=resnet20", *overrides])
    choices, values = dict(config.choices), {**config.values, "seed": seed}
    if package:
        choices["attention"] = package
        values["attention"] = {"_target_": f"{package}.Gate", "lambda": 1}
    name, started = f"{number:010x}", f"2026-01-01T00:00:{number:02}+00:00"
    record = record_json(identity=name, seed=seed, choices=choices, config=values, started=started)
    record["data"] = {**record["data"], "fingerprint": fingerprint}
    run = RunFolder(Path(f"outputs/runs/digits-resnet20-x-{name}/seed{seed}"))
    run.path.mkdir(parents=True)
    write_json(run.record_file, record)


def rows_of(markdown: str) -> list[str]:
    table = [line for line in markdown.splitlines() if line.startswith("|")]
    return [line.split("|")[1].strip() for line in table[2:]]


def test_the_baseline_is_the_first_row_and_the_others_come_as_swept(say: Say) -> None:
    for number, overrides in enumerate(SWEEP):
        write_run(number, *overrides)
    out = say("table", "outputs/runs/*", "--format", "markdown")[1]
    assert rows_of(out) == ["none", "bam reduction=8", "bam reduction=4"]


def test_a_run_of_a_package_that_is_not_at_hand_does_not_block_the_table(say: Say) -> None:
    write_run(0, "attention=none")
    write_run(1, package="gated_stages")
    status, out, err = say("table", "outputs/runs/*", "--format", "csv")
    assert (status, err) == (0, "")
    assert [line.split(",")[0] for line in out.splitlines()] == ["key", "none", "gated_stages"]


def test_runs_that_no_key_tells_apart_are_told_apart_by_their_hash(say: Say) -> None:
    write_run(0, "attention=none")
    write_run(1, "attention=none", fingerprint="other digits")
    out = say("table", "outputs/runs/*", "--format", "markdown")[1]
    assert rows_of(out) == ["0000000000", "0000000001"]


def test_a_list_names_runs_by_what_they_differ_in(say: Say) -> None:
    for number, overrides in enumerate(SWEEP):
        write_run(number, *overrides, seed=number)
    write_run(3, package="gated_stages")
    lines = [line.split() for line in say("list", "runs")[1].splitlines() if "/seed" in line]
    assert [" ".join(line[:-5]) for line in lines] == ["bam reduction=8", "none", "bam reduction=4", "gated_stages"]
    assert [line[-5] for line in lines] == [f"{n:010x}/seed{n if n < 3 else 0}" for n in range(4)]
    assert say("table", lines[1][-5])[0] == 0  # as other verbs take it


def test_a_single_run_is_named_by_its_folder(say: Say) -> None:
    write_run(0)
    assert "digits-resnet20-x" in say("list", "runs")[1]


def test_recorded_texts_reach_the_terminal_as_they_are_written(say: Say) -> None:
    write_run(0, "attention=none")
    write_run(1, package=HOSTILE)
    for words in (("list", "runs"), *(("table", "outputs/runs/*", "--format", name) for name in ("terminal", "csv"))):
        status, out, _ = say(*words)
        assert status == 0
        assert r"\x1b[2J[red]x[/b]" in out
        assert "\x1b" not in out
