"""The replay of kept tables: all runs give the kept verdicts, and rounds never take more than every row would."""

import sys
from itertools import pairwise
from pathlib import Path

import pytest

from attnbench.reproduce.campaign import TableReproduction

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from replay_rounds import KeptTable, first_seeds  # noqa: E402


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> KeptTable:
    monkeypatch.chdir(ROOT)
    return KeptTable(TableReproduction.open("gated/fig4c", "small"))


def test_all_runs_give_the_kept_verdicts(kept: KeptTable) -> None:
    last = list(kept.every_row())[-1]
    report = kept.reproduction.report(kept.results)
    assert last.verdicts == sum(claim.outcome in ("supported", "contradicted") for claim in report.claims) > 0
    assert last.runs == sum(kept.most.values())


def test_rounds_start_with_three_seeds_and_add_to_them(kept: KeptTable) -> None:
    looks = list(kept.rounds())
    assert looks[0].runs == 3 * len(kept.most)
    assert all(after.runs > before.runs and after.work > before.work for before, after in pairwise(looks))
    assert looks[-1].runs <= sum(kept.most.values())


def test_the_first_seeds_are_kept(kept: KeptTable) -> None:
    result = next(iter(kept.results.values()))
    assert list(first_seeds(result, 2).records) == sorted(result.records)[:2]
    assert {*first_seeds(result, 2).values["last"]} == {*sorted(result.records)[:2]}
