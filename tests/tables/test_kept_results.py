"""Results that are kept with the package: every network in them has learned, and quick ones are those of today."""

import gzip
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.pictures import pictures_in
from attnbench.runs.metric_names import TEST_TOP1
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.tables.render import claims, markdown
from attnbench.tables.results.training_state import least_accuracy_of
from attnbench.tables.spec.load import load_table
from attnbench.tables.spec.notes import texts_under
from attnbench.tables.spec.table import PaperTable

REPOSITORY = Path(__file__).parents[2]
KEPT = sorted((REPOSITORY / "outputs" / "reproduced").rglob("records.jsonl"))
TIMES_CHANCE = 3
"""Least accuracy of a kept network."""
OF_A_MACHINE = re.compile(
    r'"(host|error|api_key|token|password)": "|"logger": \{|/(home|root|Users|tmp|mnt|work|scratch)/'
)
ABSOLUTE = re.compile(r'"(/|~/|[A-Za-z]:\\\\)')
"""A text in JSON that begins as a path of one machine does."""


def name_of(path: Path) -> str:
    return path.parent.relative_to(REPOSITORY / "outputs" / "reproduced").as_posix()


@pytest.mark.parametrize("path", KEPT, ids=name_of)
def test_every_network_has_learned(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        record = RunRecord.from_json(json.loads(line), path)
        assert isinstance(record, FinishedRecord)
        accuracy = record.metrics[TEST_TOP1]
        assert accuracy is not None
        assert accuracy >= least_accuracy_of(record, TIMES_CHANCE), (record.identity, record.seed)


NAMED: dict[str, Callable[[Any], object]] = {
    r"dropout of ([\d.]+)": lambda config: str(config["backbone"].get("dropout")),
    r"[Tt]raining starts from torchvision's": lambda config: config["backbone"].get("weights") == "default",
    r"[Tt]he recipes? (?:is|are) (?:that|those)": lambda config: config["recipe"]["schedule"] != "one_cycle",
}
"""Statements of notes about runs, and what they say of a run's configuration: the text in brackets, or True."""


def check_notes(table: PaperTable, profile: str, configs: Sequence[Any]) -> list[str]:
    """Return the statements of the notes that are printed under a profile; they hold for its runs, or this fails."""
    found = []
    for pattern, of_config in NAMED.items():
        for match in re.finditer(pattern, " ".join(texts_under(table.notes, profile))):
            expected = match[1] if match.groups() else True
            assert expected in [of_config(config) for config in configs], match[0]
            found.append(match[0])
    return found


@pytest.mark.parametrize("path", KEPT, ids=name_of)
def test_notes_say_what_happened(path: Path) -> None:
    name, _, profile = name_of(path).rpartition("/")
    check_notes(load_table(name), profile, [json.loads(line)["config"] for line in path.read_text().splitlines()])


@pytest.mark.parametrize(("name", "statements"), [("bam/1c", 2), ("ggam/ablation", 2), ("bam/1a", 1)])
def test_notes_of_the_papers_own_profile_fail_for_runs_of_another(name: str, statements: int) -> None:
    kept = REPOSITORY / "outputs" / "reproduced" / name / "small" / "records.jsonl"
    configs = [json.loads(line)["config"] for line in kept.read_text().splitlines()]
    papers = {"backbone": {"dropout": 0.3, "weights": "default"}, "recipe": {"schedule": "steps"}}
    assert len(check_notes(load_table(name), "paper", [papers])) == statements
    with pytest.raises(AssertionError):
        check_notes(load_table(name), "paper", configs)


def kept_texts() -> Iterator[tuple[str, str]]:
    for path in sorted((REPOSITORY / "outputs" / "reproduced").rglob("*")):
        if path.is_file() and path.suffix != ".png":
            content = path.read_bytes()
            yield path.name, (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def test_no_file_says_where_or_by_whom_it_was_made() -> None:
    for name, text in kept_texts():
        assert not OF_A_MACHINE.search(text), name
        if name.endswith((".json", ".jsonl", ".gz")):
            assert not ABSOLUTE.search(text), name


def without_records(name: str, profile: str) -> list[tuple[str, str]]:
    results = TableReproduction.open(name, profile).results()
    return [key for key, result in results.items() if result.cell.config and not result.records]


@pytest.mark.parametrize("path", [path for path in KEPT if path.parent.name == "quick"], ids=name_of)
def test_quick_results_belong_to_the_rows_of_today(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert without_records(name_of(path).removesuffix("/quick"), "quick") == []


@pytest.mark.parametrize("name", ["ggam/ablation", "ggam/lambda"])
def test_runs_that_started_from_weights_are_found_without_the_file(name: str) -> None:
    """In the test's own folder, with the kept records and without data or weights."""
    kept = Path("outputs/reproduced") / name / "small"
    kept.mkdir(parents=True)
    shutil.copy(REPOSITORY / kept / "records.jsonl", kept)
    assert not Path("outputs/cifar100_resnet11.ckpt").exists()
    assert without_records(name, "small") == []


@pytest.mark.slow
@pytest.mark.parametrize("path", KEPT, ids=name_of)
def test_kept_pages_are_those_of_today(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise: python scripts/kept_tables.py."""
    monkeypatch.chdir(REPOSITORY)
    name, _, profile = name_of(path).rpartition("/")
    reproduction = TableReproduction.open(name, profile)
    report = replace(reproduction.report(reproduction.results()), pictures=pictures_in(path.parent))
    for file, render in (("table.md", markdown.render), ("claims.csv", claims.render_csv)):
        assert render(report) == (path.parent / file).read_bytes().decode("utf-8"), file
