"""Texts of claims and their parts that several formats share, and all of them as CSV."""

import csv
from collections.abc import Iterator
from io import StringIO

from attnbench.formatting import p_in_words, p_value, signed, signed_with_interval
from attnbench.tables.report import NOTHING, ClaimResult, PartResult, Report

FACTS = ("comparison", "difference", "p", "n", "paper")
TITLES = ("comparison", "difference", "adjusted p", "n", "paper")
"""Headings of `FACTS` where there is room for one."""
CSV_COLUMNS = (
    "claim", "outcome", "details", "source", "column", "part", "part_outcome", "difference", "low", "high", "p", "n",
    "printed", "part_details", "needs", "spread",
)  # fmt: skip


def difference_text(part: PartResult) -> str:
    """Return a part's difference with its interval, as far as they are known: `−1.49 [−2.10, −0.88]`."""
    if part.difference is None:
        return NOTHING
    interval = None if part.low is None or part.high is None else (part.low, part.high)
    return signed_with_interval(part.difference, interval)


def p_text(p: float | None) -> str:
    """Return a p value, or a dash where there is none."""
    return NOTHING if p is None else p_value(p)


def printed_text(part: PartResult) -> str:
    """Return the paper's difference."""
    return NOTHING if part.printed is None else signed(part.printed)


def remark_text(result: ClaimResult, part: PartResult) -> str:
    """Return what else there is to say of a part: its outcome where that is not the claim's, and its details."""
    outcome = part.outcome if part.outcome != result.outcome else ""
    return "; ".join(text for text in (outcome, part.details) if text and text != result.details)


def part_text(result: ClaimResult, part: PartResult) -> str:
    """Return a part on one line: `BAM − plain: −1.49 [−2.10, −0.88], p = 0.012, n = 5, paper −1.49`."""
    facts = [difference_text(part)] if part.difference is not None else []
    if part.p is not None:
        facts.append(p_in_words(part.p))
    facts += [f"n = {part.n}"] if part.n else []
    facts += [f"paper {printed_text(part)}"] if part.printed is not None else []
    facts += [remark] if (remark := remark_text(result, part)) else []
    return f"{part.label}: {', '.join(facts)}" if facts else part.label


def reasons(report: Report, result: ClaimResult) -> list[str]:
    """Return the reason for a claim's outcome, its column where claims have several, and its source."""
    several = len({other.column for other in report.claims}) > 1
    column = result.column if several and f"({result.column})" not in result.claim else ""
    return [text for text in (column, result.details, result.source) if text]


def facts(part: PartResult) -> tuple[str, ...]:
    """Return the texts of a part by `FACTS`, empty where a number is not known."""
    return (
        part.label,
        difference_text(part) if part.difference is not None else "",
        p_value(part.p) if part.p is not None else "",
        str(part.n or ""),
        printed_text(part) if part.printed is not None else "",
    )


def known_facts(report: Report) -> list[int]:
    """Return the places in `FACTS` that hold something in any part of any claim."""
    rows = [facts(part) for result in report.claims for part in result.parts]
    return [place for place in range(len(FACTS)) if any(row[place] for row in rows)]


def render_csv(report: Report) -> str:
    """Render the claims with one line for each part, as `csv.render` does the table; nothing is rounded."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for result in report.claims:
        writer.writerows(_csv_lines(result))
    return text.getvalue()


def _csv_lines(result: ClaimResult) -> Iterator[list[object]]:
    about = [result.claim, result.outcome, result.details, result.source, result.column]
    for part in result.parts:
        numbers = [part.difference, part.low, part.high, part.p, part.n, part.printed]
        yield [*about, part.label, part.outcome, *numbers, part.details, " ".join(part.keys), part.spread]
    if not result.parts:
        yield [*about, *[None] * (len(CSV_COLUMNS) - len(about))]
