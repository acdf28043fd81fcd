"""Damaged files of a run: one line says what is damaged, and no other run is kept from being shown, tested or trained.

Each case damages one file of one run in one way and calls one verb. A few cases are drawn by default; the whole product
is slow: `pytest -m slow tests/faults/test_damaged_files.py -s` prints how many cases were answered, and how.
"""

import contextlib
import csv
import io
import random
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.faults.damage import DAMAGES, Damage, wrong_types
from tests.tables.lab import write_table

SMALL = (*TINY, "recipe.epochs=2", "backbone.depth=8")
DAMAGED, OTHER = ("attention=se", "attention.reduction=2"), ("attention=none",)
FILES = (
    "record.json", "metrics.jsonl", "config.yaml", "job.json", "lock.json", ".lock", "evaluations.json", "log.txt",
    "predictions/last.npz", "predictions", "events.out.tfevents.1", ".",
)  # fmt: skip
TABLE = f"""\
# The runs of `SMALL`
title: Small networks
source: nowhere
overrides: [{", ".join(SMALL)}]
columns: {{error: {{label: digits, metric: top1_error}}}}
baseline: none
rows:
  none: {{label: plain, overrides: [{", ".join(OTHER)}]}}
  se: {{label: SE, overrides: [{", ".join(DAMAGED)}]}}
"""
ALL = "outputs/runs/*"
VERBS: dict[str, tuple[str, ...]] = {
    "list": ("list", "runs"),
    "table": ("table", ALL, "--rows", "attention", "--format", "csv"),
    "table of the run": ("table", "outputs/runs/*-se-*"),
    "pooled table": ("table", "--pooled", "outputs"),
    "evaluate": ("evaluate", ALL),
    "evaluate the run": ("evaluate", "outputs/runs/*-se-*"),
    "train the run": ("train", *SMALL, *DAMAGED),
    "train another run": ("train", *SMALL, *OTHER),
    "reproduce": ("reproduce", "lab/tiny", "--seeds", "1", "--config-dir", "mine", "--to", "table.csv"),
}
QUICK = ("list", "table", "table of the run", "train the run", "train another run")
"""Verbs that take a tenth of a second where nothing has to be trained."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two finished runs, the files of a sweep's run and an evaluation among them."""
    output = tmp_path_factory.mktemp("finished")
    for overrides in (DAMAGED, OTHER):
        job = plan(compose([*SMALL, *overrides, f"output={output}"]))
        train(job)
        job.save(job.folder / "job.json")
        (job.folder / "log.txt").write_text("a log\n")
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["evaluate", f"{output}/runs/*"]) == 0
    return output


@dataclass(frozen=True)
class Answer:
    """What a verb answered."""

    status: int | None
    out: str
    err: str

    def accuracies(self) -> dict[str, str]:
        """The accuracy in each row of a table in CSV."""
        rows = csv.DictReader(io.StringIO(self.out))
        return {row["key"]: row[".last.mean"] for row in rows}


def ask(verb: str) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status: int | None = main(list(VERBS[verb]))
    except BaseException:
        return Answer(None, out.getvalue(), err.getvalue() + traceback.format_exc())
    return Answer(status, out.getvalue(), err.getvalue())


class Harness:
    """Damages copies of the runs and judges the answers. counts: of cases by outcome."""

    def __init__(self, finished: Path) -> None:
        self.finished = finished
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        write_table(TABLE)
        self.restore()
        self.whole = {verb: ask(verb) for verb in ("table", "list", "reproduce")}
        self.reproduced = errors(Path("table.csv"))

    def restore(self) -> RunFolder:
        """Put the runs back as they were, and return the one to be damaged."""
        shutil.rmtree("outputs", ignore_errors=True)
        shutil.copytree(self.finished, "outputs")
        (run,) = (run for run in find_runs(Path("outputs")) if "-se-" in run.path.parent.name)
        for path in run.path.glob("events*"):
            path.rename(run.path / "events.out.tfevents.1")
        return run

    def case(self, name: str, verb: str, file: str, damage: Damage) -> None:
        """Damage a file, ask, and note what is wrong with the answer."""
        run = self.restore()
        damage(run.path / file if file != "." else run.path)
        answer = ask(verb)
        fault = self.judge(verb, answer)
        self.counts[fault or ("one line" if answer.err else "not concerned")] += 1
        if fault:
            self.faults.append(f"{fault}: {file}, {name}, {verb}: {answer.status} {answer.err[-300:]}")

    def judge(self, verb: str, answer: Answer) -> str:
        """Return what is wrong with an answer; empty if nothing is."""
        lines = [line for line in answer.err.splitlines() if not line.startswith("    ")]  # of a run's log
        if answer.status is None or "Traceback" in answer.err:
            return "traceback"
        if len(lines) > 3 or not all(line.startswith("attnbench: ") for line in lines):
            return "many lines"
        if answer.status not in (0, 1, 2) or (answer.status != 0 and not lines):
            return "no reason"
        return "" if self.right(verb, answer) else "wrong result"

    def right(self, verb: str, answer: Answer) -> bool:
        """Return whether other runs are shown as ever, and the damaged one likewise or not at all."""
        if verb == "table":
            whole, shown = self.whole["table"].accuracies(), answer.accuracies()
            return answer.status == 0 and whole["none"] == shown["none"] and shown.get("se", whole["se"]) == whole["se"]
        if verb == "list":
            return answer.status == 0 and other_run(answer.out) == other_run(self.whole["list"].out)
        if verb == "evaluate":
            return "-none-" in answer.out
        if verb == "reproduce":
            whole, shown = self.reproduced, errors(Path("table.csv"))
            return answer.status != 2 and whole["none"] == shown["none"] and shown["se"] in ("", whole["se"])
        return verb != "train another run" or answer.status == 0


def other_run(listed: str) -> list[str]:
    """Return what a list says of the run without attention; its name depends on the others that are there."""
    return next(line.split()[-5:] for line in listed.splitlines() if "none" in line)


def errors(table: Path) -> dict[str, str]:
    """Return the error in each row of a reproduced table in CSV."""
    with table.open(encoding="utf-8") as stream:
        return {row["key"]: row["error.last.mean"] for row in csv.DictReader(stream)}


@pytest.fixture
def harness(finished: Path) -> Iterator[Harness]:
    made = Harness(finished)
    yield made
    print(dict(made.counts))
    assert not made.faults, "\n".join(made.faults)


def test_a_few_damages_of_each_file_are_answered(harness: Harness) -> None:
    draw = random.Random(0)
    for file in FILES:
        for name in draw.sample(list(DAMAGES), 3):
            harness.case(name, draw.choice(QUICK), file, DAMAGES[name])


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_every_damage_of_every_file_is_answered_by_every_verb(file: str, harness: Harness) -> None:
    for verb in VERBS:
        for name, damage in DAMAGES.items():
            harness.case(name, verb, file, damage)


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["list", "table of the run", "evaluate the run", "train the run"])
@pytest.mark.parametrize("file", ["record.json", "metrics.jsonl", "evaluations.json", "job.json"])
def test_every_value_of_another_type_is_answered(file: str, verb: str, harness: Harness) -> None:
    path = harness.restore().path / file
    for name, content in wrong_types(path):
        harness.case(name, verb, file, written(content))


def written(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write
