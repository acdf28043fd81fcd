"""Claims and their results in words."""

import math
from collections import Counter
from collections.abc import Sequence

from attnbench.formatting import p_in_words
from attnbench.tables.report import Outcome, PartResult
from attnbench.tables.spec.table import Claim, ClaimPart, Column, PaperTable, Term
from attnbench.tables.verdicts.anytime import Estimate
from attnbench.tables.verdicts.judge import Part, PartJudgement
from attnbench.tables.verdicts.power import MOST_SEEDS, seeds_needed

SAME_RUNS = "both are the same runs in this profile"
NOT_JUDGED = "not judged, because networks of another part have not learned"
OURS = "ours"
"""Source of a claim that no paper makes."""


def wording(table: PaperTable, claim: Claim) -> str:
    """Return what a claim says, with its column where another claim says the same."""
    repeated = sum(other.says == claim.says for other in table.claims) > 1
    return f"{claim.says} ({table.columns[claim.column].label})" if repeated else claim.says


def part_label(table: PaperTable, claim: Claim, part: ClaimPart) -> str:
    """Return a part in the rows' labels: `ResNet-50 + BAM − ResNet-50`; numbers other than 1 follow a row's label."""
    words = ""
    for term in part.terms:
        sign, size = ("−" if term.weight < 0 else "+"), abs(term.weight)
        label = table.name_of(term.row) + ("" if size == 1 else f" × {size:g}")
        if term.column != claim.column:
            label += f" ({table.columns[term.column].label})"
        words += f" {sign} {label}" if words or sign == "−" else label
    return words.strip()


def term_key(claim: Claim, term: Term) -> str:
    """Return the key of a term's cell: its row, with the column where that is not the claim's."""
    return term.row if term.column == claim.column else f"{term.row}@{term.column}"


def describe_source(claim: Claim) -> str:
    """Return where the paper makes the claim, and whether its wording was read; a claim of ours has no paper."""
    if not claim.source:
        return "inferred from the table's numbers"
    if claim.source == OURS:
        return OURS
    return f"{claim.source}, {'wording seen' if claim.wording == 'seen' else 'wording not seen'}"


def describe_claim(outcome: Outcome, p: float | None, parts: Sequence[PartResult]) -> str:
    """Return the reason for a claim's outcome: its p value, or what is missing."""
    deciding = sorted((part for part in parts if part.outcome == outcome), key=_distance_from_decision)
    if outcome in ("supported", "contradicted", "equivalent"):
        words = "" if p is None else p_in_words(p)
    elif len(parts) == 1:
        return parts[0].details
    else:
        words = next((part.details for part in deciding if part.details), "")
    return words if len(parts) == 1 else f"{count_outcomes(parts)}; {words}".removesuffix("; ")


def _distance_from_decision(part: PartResult) -> tuple[float, str]:
    """Return a key that orders parts of one outcome: the largest p value first."""
    return (-1.0 if part.p is None else -part.p, part.label)


def count_outcomes(parts: Sequence[PartResult]) -> str:
    """Return the number of parts with each outcome: `2 parts supported, 1 inconclusive`."""
    counts = Counter(part.outcome for part in parts).most_common()
    words = [f"{count} {outcome}" for outcome, count in sorted(counts, key=lambda item: (-item[1], item[0]))]
    number, _, outcome = words[0].partition(" ")
    return ", ".join([f"{number} part{'s' * (number != '1')} {outcome}", *words[1:]])


def describe_part(column: Column, part: Part, judged: PartJudgement, printed: float | None, outcome: Outcome) -> str:
    """Return what a reader must know of a part beside its numbers; empty if it is supported or contradicted."""
    if part.estimate is None:
        return "no runs"
    if outcome == "equivalent" or part.equal:
        return f"margin {amount(column, part.margin or 0.0)}"
    if outcome != "inconclusive":
        return ""
    return describe_undecided(column, part.estimate, judged.level, printed)


def describe_undecided(column: Column, estimate: Estimate, level: float, printed: float | None) -> str:
    """Return the smallest difference that these seeds would have shown, and the seeds that the paper's would need."""
    if estimate.n < 2:
        return "one seed has no spread"
    if estimate.std == 0:
        return f"the {estimate.n} seeds differ by equal amounts, so there is no spread"
    smallest = estimate.half_width(level)
    shown = "these seeds are too few to show any difference"
    if smallest < math.inf:
        shown = f"these seeds would have shown a difference of {amount(column, smallest)}"
    return shown + _seeds_for_the_paper(column, estimate, level, printed)


def _seeds_for_the_paper(column: Column, estimate: Estimate, level: float, printed: float | None) -> str:
    if not printed:
        return ""
    needed = seeds_needed(printed, estimate, level)
    seeds = f"more than {MOST_SEEDS:,}" if needed is None else f"about {needed:,}"
    return f"; the paper's {amount(column, abs(printed))} would need {seeds}"


def amount(column: Column, number: float) -> str:
    """Return a difference in a column's unit: `0.57 points` for per cent."""
    return f"{number:.2f} points" if column.metric.startswith("top") else f"{number:.3g}"
