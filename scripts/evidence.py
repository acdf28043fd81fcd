"""Write docs/evidence.md: the papers' claims as the kept tables of the profile `small` judge them, on real data.

python scripts/evidence.py          # reads outputs/reproduced; nothing is trained
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from marked_text import replace_between

from attnbench.reproduce.campaign import TableReproduction
from attnbench.tables.render.claims import difference_text, p_text
from attnbench.tables.report import ClaimResult, Outcome, PartResult
from attnbench.tables.results.records import RECORDS_FILE
from attnbench.tables.spec.load import table_files

PAGE = Path(__file__).resolve().parent.parent / "docs" / "evidence.md"
PROFILE = "small"
START, END = "<!-- claims: scripts/evidence.py -->", "<!-- /claims -->"
COLUMNS = ("claim", "outcome", "difference with its interval", "p", "seeds")
ORDER: tuple[Outcome, ...] = ("supported", "contradicted", "equivalent", "inconclusive", "not trained", "not run")


@dataclass(frozen=True)
class JudgedTable:
    """A kept table: its name, title, link and the results of its claims."""

    name: str
    title: str
    link: str
    claims: Sequence[ClaimResult]


def judged_tables() -> Iterator[JudgedTable]:
    """Yield the kept tables of the profile that make claims."""
    for name in sorted(table_files()):
        reproduction = TableReproduction.open(name, PROFILE)
        if (reproduction.folder / RECORDS_FILE).is_file() and reproduction.table.claims:
            claims = reproduction.report(reproduction.results()).claims
            yield JudgedTable(name, reproduction.table.title, f"../{reproduction.folder.as_posix()}/table.md", claims)


def summary(tables: Sequence[JudgedTable]) -> str:
    """Return how many claims have each outcome, in a sentence."""
    outcomes = Counter(result.outcome for table in tables for result in table.claims)
    counts = ", ".join(f"{outcomes[outcome]} {outcome}" for outcome in ORDER if outcomes[outcome])
    return f"{sum(outcomes.values())} claims of {len(tables)} tables: {counts}.\n"


def table_lines(table: JudgedTable) -> Iterator[str]:
    """Yield a table's heading, and a line for each claim and for each part of one that has several."""
    yield f"\n### [{table.name}]({table.link})\n\n{table.title}\n\n"
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
