"""Replay the kept tables of the profile `small`: what do verdicts cost if every row gets seeds, and what in rounds?

    python scripts/replay_rounds.py          # reads outputs/reproduced, writes docs/evidence.md; nothing is trained

Every table starts with three seeds a row. "Every row" then adds a seed to all rows, as `--seeds N` does; "rounds" is
`--until-decided`, which adds seeds where they may still decide a claim. Both are looked at after each addition, take
the kept runs in the order of their seeds, and are compared at the first look at which they have the same number of
verdicts: the most that both reach. Work is counted in multiply-adds of training, in units of 10^12 forward ones, which
were 5 to 22 CPU-minutes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kept_tables import kept_with_claims
from marked_text import replace_between

from attnbench.reproduce.budget import Costs
from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.decisions import plan_open
from attnbench.reproduce.prospects import Prospect, prospect
from attnbench.reproduce.questions import questions
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key, Result

PAGE = Path(__file__).resolve().parent.parent / "docs" / "evidence.md"
MARK, END = "<!-- replay: scripts/replay_rounds.py -->", "<!-- /replay -->"
PROFILE, START = "small", 3
UNIT = 1e12


@dataclass(frozen=True)
class Look:
    """What was known after some runs."""

    verdicts: int
    runs: int
    work: float


class KeptTable:
    """A kept table, whose runs are revealed seed by seed."""

    def __init__(self, reproduction: TableReproduction) -> None:
        self.reproduction, results = reproduction, reproduction.results()
        self.results: dict[Key, Result] = dict(results)
        self.kinds = {
            key: next(iter(result.records.values())).identity for key, result in results.items() if result.records
        }
        self.work: dict[str, float] = {}
        self.most: dict[str, int] = {}
        for key, kind in self.kinds.items():
            record = next(iter(results[key].records.values()))
            self.work[kind] = record.costs.multiply_adds * record.images / UNIT
            self.most[kind] = len(results[key].records)

    def prospects(self, counts: Mapping[str, int]) -> list[Prospect]:
        """Return what becomes of the claims if only the first seeds of each kind of runs are known."""
        known = {key: first_seeds(result, self.count_of(key, counts)) for key, result in self.results.items()}
        inputs = ReportInputs(self.reproduction.table, self.reproduction.profile, known, costs={})
        seeds = {kind: range(count) for kind, count in counts.items()}
        return [prospect(each, seeds, max(self.most.values())) for each in questions(inputs, self.kinds)]

    def count_of(self, key: Key, counts: Mapping[str, int]) -> int:
        """Return how many seeds of a cell are known; 0 of one that has no runs."""
        return counts[self.kinds[key]] if key in self.kinds else 0

    def look(self, counts: Mapping[str, int], prospects: list[Prospect]) -> Look:
        """Sum up what was known, and what it cost."""
        work = sum(count * self.work[kind] for kind, count in counts.items())
        return Look(sum(each.state == "decided" for each in prospects), sum(counts.values()), work)

    def every_row(self) -> Iterator[Look]:
        """Yield the looks if all rows get seeds."""
        for seeds in range(START, max(self.most.values()) + 1):
            counts = {kind: min(seeds, most) for kind, most in self.most.items()}
            yield self.look(counts, self.prospects(counts))

    def rounds(self) -> Iterator[Look]:
        """Yield the looks if seeds go where they may decide a claim."""
        counts = {kind: min(START, most) for kind, most in self.most.items()}
        while True:
            prospects = self.prospects(counts)
            yield self.look(counts, prospects)
            done = {kind: frozenset(range(count)) for kind, count in counts.items()}
            is_open = [each for each in prospects if each.state == "open"]
            planned = plan_open(is_open, done, max(self.most.values()), Costs(self.work), float("inf"))
            served = {run.kind for run in planned.runs if counts[run.kind] < self.most[run.kind]}
            if not served:
                return
            counts = {kind: count + (kind in served) for kind, count in counts.items()}


def first_seeds(result: Result, count: int) -> Result:
    """Return a result without the runs after its first ones."""
    kept = sorted(result.records)[:count]
    values = {epoch: {seed: of[seed] for seed in kept if seed in of} for epoch, of in result.values.items()}
    return replace(result, records={seed: result.records[seed] for seed in kept}, values=values)


def first_looks(table: KeptTable) -> list[Look]:
    """Return, for every row and for rounds, the first look with the most verdicts that both reach, if any."""
    looks = [list(table.every_row()), list(table.rounds())]
    verdicts = min(max(look.verdicts for look in of) for of in looks)
    return [next(look for look in of if look.verdicts >= verdicts) for of in looks] if verdicts else []


def table_lines(found: Mapping[str, Sequence[Look]]) -> Iterator[str]:
    """Yield the lines of the table: those of the tables with verdicts, and their sum."""
    yield "\n| table | verdicts | every row: runs | work | rounds: runs | work |\n|---|---|---|---|---|---|\n"
    sums = [Look(sum(min(look.verdicts for look in looks) for looks in found.values()), *sum_up(found, place))
            for place in (0, 1)]  # fmt: skip
    for name, looks in {**found, "all": sums}.items():
        cells = " | ".join(f"{look.runs} | {look.work:.1f}" for look in looks)
        yield f"| {name} | {min(look.verdicts for look in looks)} | {cells} |\n"


def sum_up(found: Mapping[str, Sequence[Look]], place: int) -> tuple[int, float]:
    """Return the runs and the work of all tables, of every row (0) or of rounds (1)."""
    looks = [of[place] for of in found.values()]
    return sum(look.runs for look in looks), sum(look.work for look in looks)


def main() -> None:
    """Replace the table in docs/evidence.md."""
    found = {
        table.reproduction.table.name: looks
        for table in map(KeptTable, kept_with_claims(PROFILE))
        if (looks := first_looks(table))
    }
    replace_between(PAGE, MARK, END, "".join(table_lines(found)))


if __name__ == "__main__":
    main()
