"""The claims of a table, judged by the results of its runs."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from attnbench.tables.report import ClaimResult, Outcome, PartResult
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.spec.table import Claim, ClaimPart, PaperTable
from attnbench.tables.verdicts.claim_words import (
    NOT_JUDGED,
    SAME_RUNS,
    describe_claim,
    describe_part,
    describe_source,
    part_label,
    term_key,
    wording,
)
from attnbench.tables.verdicts.comparisons import Comparisons, contrast_key
from attnbench.tables.verdicts.judge import Judgement, Part, PartJudgement, combine, judge
from attnbench.tables.verdicts.printed import printed_difference


def claim_results(inputs: ReportInputs, comparisons: Comparisons) -> Iterator[ClaimResult]:
    """Judge all claims of a table together and yield the result of each.

    A claim about networks that have not learned is not judged.
    """
    for judged in judge_claims(inputs, comparisons):
        yield claim_result(comparisons, *judged)


def judge_claims(
    inputs: ReportInputs, comparisons: Comparisons
) -> Iterator[tuple[Claim, Sequence[ClaimPart], Sequence[Part], Judgement]]:
    """Judge all claims of a table together; yield each with its parts, their numbers and the judgement.

    There are no numbers for a claim about networks that have not learned.
    """
    claims = inputs.table.claims
    parts = [judged_parts(inputs, claim) for claim in claims]
    questions = [
        []
        if any(why_untrained(comparisons, part) for part in own)
        else [make_part(comparisons, claim, part) for part in own]
        for claim, own in zip(claims, parts, strict=True)
    ]
    yield from zip(claims, parts, questions, judge(questions), strict=True)


def judged_parts(inputs: ReportInputs, claim: Claim) -> Sequence[ClaimPart]:
    """Return the parts of a claim without those of rows that the profile leaves out; all, if it leaves out all."""
    reasons = set(inputs.profile.left_out.values())
    parts = [
        part
        for part in claim.parts
        if all(inputs.results[term.row, term.column].cell.reason not in reasons for term in part.terms)
    ]
    return parts or claim.parts


def make_part(comparisons: Comparisons, claim: Claim, part: ClaimPart) -> Part:
    """Return the numbers by which a part is judged."""
    table = comparisons.inputs.table
    direction = direction_of(table, claim)
    key = frozenset(contrast_key(comparisons.inputs.results, part.terms, direction).items())
    return Part(comparisons.estimate(part.terms), direction, part.equal, margin_of(table, claim, part), key)


def direction_of(table: PaperTable, claim: Claim) -> int:
    """Return the sign of a better difference: -1 where lower values are better."""
    return -1 if table.columns[claim.column].better == "lower" else 1


def margin_of(table: PaperTable, claim: Claim, part: ClaimPart) -> float | None:
    """Return the largest difference that does not matter: the claim's, or half of the printed one; None without one."""
    if claim.margin is not None:
        return claim.margin
    printed = printed_difference(table, part)
    return abs(printed) / 2 if printed else None


def why_untrained(comparisons: Comparisons, part: ClaimPart) -> str:
    """Return which networks of a part have not learned, and why; empty if all have."""
    reasons = comparisons.untrained
    table = comparisons.inputs.table
    return "; ".join(
        f"{table.name_of(term.row)} is {reasons[term.row, term.column]}"
        for term in part.terms
        if (term.row, term.column) in reasons
    )


def claim_result(
    comparisons: Comparisons, claim: Claim, own: Sequence[ClaimPart], asked: Sequence[Part], judgement: Judgement
) -> ClaimResult:
    """Return the result of a claim from what `judge_claims` yields."""
    if asked:
        parts = [judged_result(comparisons, claim, *three) for three in zip(own, asked, judgement.parts, strict=True)]
    else:
        parts = [untrained_result(comparisons, claim, part) for part in own]
    return _claim_result(comparisons.inputs, claim, parts, judgement.p)


def _claim_result(inputs: ReportInputs, claim: Claim, parts: Sequence[PartResult], p: float | None) -> ClaimResult:
    outcome = combine([part.outcome for part in parts])
    left_out = len(claim.parts) - len(parts)
    without = f"; {left_out} of {len(claim.parts)} parts left out by the profile" if left_out else ""
    return ClaimResult(
        claim=wording(inputs.table, claim),
        outcome=outcome,
        details=describe_claim(outcome, p, parts) + without,
        parts=tuple(parts),
        source=describe_source(claim),
        column=inputs.table.columns[claim.column].label,
    )


def judged_result(
    comparisons: Comparisons, claim: Claim, part: ClaimPart, asked: Part, judged: PartJudgement
) -> PartResult:
    """Return the result of a part that was judged."""
    same_runs = comparisons.same_runs(part)
    outcome = "inconclusive" if same_runs else judged.outcome
    table, interval = comparisons.inputs.table, asked.estimate.interval(judged.level) if asked.estimate else None
    words = describe_part(table.columns[claim.column], asked, judged, printed_difference(table, part), outcome)
    low, high = interval or (None, None)
    return replace(
        _plain_result(comparisons, claim, part),
        outcome=outcome,
        low=low,
        high=high,
        p=judged.p,
        details=SAME_RUNS if same_runs else words,
    )


def untrained_result(comparisons: Comparisons, claim: Claim, part: ClaimPart) -> PartResult:
    """Return the result of a part of a claim that is not judged, because networks have not learned."""
    reason = why_untrained(comparisons, part)
    outcome: Outcome = "not trained" if reason else "inconclusive"
    return replace(_plain_result(comparisons, claim, part), outcome=outcome, details=reason or NOT_JUDGED)


def _plain_result(comparisons: Comparisons, claim: Claim, part: ClaimPart) -> PartResult:
    """Return a part's result without its judgement."""
    table, estimate = comparisons.inputs.table, comparisons.estimate(part.terms)
    return PartResult(
        label=part_label(table, claim, part),
        outcome="not run",
        difference=estimate.value if estimate else None,
        low=None,
        high=None,
        p=None,
        n=estimate.n if estimate else 0,
        printed=printed_difference(table, part),
        keys=tuple(term_key(claim, term) for term in part.terms),
        spread=estimate.method if estimate and estimate.std else "",
    )
