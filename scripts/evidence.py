"""Write docs/evidence.md: the papers' claims as the kept tables of the profile `small` judge them, on real data.

python scripts/evidence.py          # reads outputs/reproduced; nothing is trained
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from kept_tables import kept_with_claims
from marked_text import replace_between

from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.prospects import DECIDED
from attnbench.runs.metric_names import TEST, TOP1, metric_name
from attnbench.tables.render.claims import difference_text, p_text
from attnbench.tables.report import ClaimResult, Outcome, PartResult
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key, Result
from attnbench.tables.verdicts.claim_results import judged_parts

PAGE = Path(__file__).resolve().parent.parent / "docs" / "evidence.md"
PROFILE = "small"
TEST_TOP1 = metric_name(TEST, TOP1)
START, END = "<!-- claims: scripts/evidence.py -->", "<!-- /claims -->"
COLUMNS = ("claim", "outcome", "difference with its interval", "adjusted p", "seeds")
Compared = frozenset[tuple[Hashable, ...]]
ORDER: tuple[Outcome, ...] = ("supported", "contradicted", "equivalent", "inconclusive", "not trained", "not run")


@dataclass(frozen=True)
class JudgedTable:
    """A kept table: its name, title, link, networks in a sentence, and the results of its claims.

    Attributes:
        decided: the comparisons that verdicts rest on, by the networks, metric and test that they compare.
    """

    name: str
    title: str
    link: str
    networks: str
    claims: Sequence[ClaimResult]
    decided: frozenset[Compared]


def judged_tables() -> Iterator[JudgedTable]:
    """Yield the kept tables of the profile that make claims."""
    for reproduction in kept_with_claims(PROFILE):
        table, results = reproduction.table, reproduction.results()
        claims = reproduction.report(results).claims
        decided = frozenset(decided_comparisons(reproduction, results, claims))
        link = f"../{reproduction.folder.as_posix()}/table.md"
        yield JudgedTable(table.name, table.title, link, networks(results), claims, decided)


def networks(results: Mapping[Key, Result]) -> str:
    """Say how large a table's networks are and how accurate they became: in which range their means are."""
    records = [list(result.records.values()) for result in results.values() if result.records]
    sizes = [record.costs.parameters for group in records for record in group]
    accuracies = [100 * fmean(record.metrics[TEST_TOP1] or 0.0 for record in group) for group in records]
    return (
        f"Networks of {min(sizes):,} to {max(sizes):,} parameters; "
        f"mean test accuracy {min(accuracies):.1f} to {max(accuracies):.1f} %."
    )


def decided_comparisons(
    reproduction: TableReproduction, results: Mapping[Key, Result], claims: Sequence[ClaimResult]
) -> Iterator[Compared]:
    """Yield the comparisons that the claims' verdicts rest on, the same for the same networks in several tables."""
    inputs = ReportInputs(reproduction.table, reproduction.profile, results, costs={})
    for result, claim in zip(claims, reproduction.table.claims, strict=True):
        for found, part in zip(result.parts, judged_parts(inputs, claim), strict=True):
            if found.outcome == result.outcome in DECIDED:
                yield frozenset((*sample(results[term.row, term.column]), term.weight) for term in part.terms)


def sample(result: Result) -> tuple[Hashable, ...]:
    """Return what tells the values of a cell apart: its networks, metric, split and test."""
    column = result.cell.column
    identity = next(iter(result.records.values())).identity
    return identity, column.metric, column.split, column.stage, result.cell.evaluate


def summary(tables: Sequence[JudgedTable]) -> str:
    """Return how many claims have each outcome, in a sentence."""
    outcomes = Counter(result.outcome for table in tables for result in table.claims)
    counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ORDER if outcomes[outcome])
    decided = len(frozenset().union(*(table.decided for table in tables)))
    return (
        f"{sum(outcomes.values())} claims of {len(tables)} tables: {counts}.\n\n"
        f"As tables share networks, these verdicts rest on {decided} different comparisons of networks.\n"
    )


def table_lines(table: JudgedTable) -> Iterator[str]:
    """Yield a table's heading, and a line for each claim and for each part of one that has several."""
    yield f"\n### [{table.name}]({table.link})\n\n{table.title}. {table.networks}\n\n"
    yield f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
    for result in table.claims:
        alone = result.parts[0] if len(result.parts) == 1 else None
        yield line(f"**{result.claim}**", f"**{result.outcome}**", alone)
        for part in result.parts if alone is None else ():
            yield line(part.label, part.outcome, part)


def line(text: str, outcome: str, part: PartResult | None) -> str:
    """Return a line of the table."""
    numbers = (difference_text(part), p_text(part.p), str(part.n or "–")) if part else ("", "", "")
    return f"| {' | '.join((text.replace('|', chr(92) + '|'), outcome, *numbers))} |\n"


def main() -> None:
    """Replace the text between the marks."""
    tables = list(judged_tables())
    lines = "".join(text for table in tables for text in table_lines(table))
    replace_between(PAGE, START, END, f"\n{summary(tables)}{lines}")


if __name__ == "__main__":
    main()
