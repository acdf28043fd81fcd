"""The claims of a table, judged by the results of its runs."""

from collections.abc import Iterator, Sequence

from attnbench.tables.claims import Judgement, combine, describe, judge
from attnbench.tables.printed import printed_difference
from attnbench.tables.report import ClaimResult, Outcome, PartResult
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.spec import Claim, ClaimPart, Term
from attnbench.tables.values import Values


def claim_results(inputs: ReportInputs) -> Iterator[ClaimResult]:
    """Judge all claims of a table together and yield the result of each."""
    claims = inputs.table.claims
    parts = [(claim, part) for claim in claims for part in _parts(inputs, claim)]
    judgements = judge([_sides(inputs, part) for _, part in parts], "lower")
    for claim in claims:
        own = [(part, found) for (owner, part), found in zip(parts, judgements, strict=True) if owner is claim]
        judgement = combine([found for _, found in own])
        left_out = len(claim.parts) - len(own)
        without = f"; {left_out} of {len(claim.parts)} pairs left out by the profile" if left_out else ""
        yield ClaimResult(
            _wording(inputs, claim),
            _outcome(judgement),
            describe(judgement) + without,
            tuple(_part_result(inputs, claim, part, found) for part, found in own),
            describe_source(claim),
            inputs.table.columns[claim.column].label,
        )


def _parts(inputs: ReportInputs, claim: Claim) -> Sequence[ClaimPart]:
    """Return the parts of a claim without those of rows that the profile leaves out; all, if it leaves out all."""
    reasons = set(inputs.profile.left_out.values())
    parts = [
        part
        for part in claim.parts
        if all(inputs.results[term.row, term.column].cell.reason not in reasons for term in part.terms)
    ]
    return parts or claim.parts


def _sides(inputs: ReportInputs, part: ClaimPart) -> tuple[Values, Values]:
    """Return the values of both rows by seed, negated where higher ones are better, so that lower ones always are."""
    if not part.is_pair:
        return {}, {}
    sign = 1 if inputs.table.columns[part.terms[0].column].better == "lower" else -1
    first, second = (inputs.results[term.row, term.column].values["last"] for term in part.terms)
    return {seed: sign * value for seed, value in first.items()}, {seed: sign * v for seed, v in second.items()}


def _part_result(inputs: ReportInputs, claim: Claim, part: ClaimPart, found: Judgement) -> PartResult:
    sign = 1 if inputs.table.columns[part.terms[0].column].better == "lower" else -1
    difference = found.difference
    low, high = (difference.low, difference.high) if difference else (None, None)
    if sign < 0 and low is not None and high is not None:
        low, high = -high, -low
    return PartResult(
        label=part_label(inputs, claim, part),
        outcome=_outcome(found),
        difference=sign * difference.mean if difference else None,
        low=low,
        high=high,
        p=found.p,
        n=difference.n if difference else 0,
        printed=printed_difference(inputs.table, part),
        details=describe(found),
        keys=tuple(term_key(claim, term) for term in part.terms),
    )


def part_label(inputs: ReportInputs, claim: Claim, part: ClaimPart) -> str:
    """Return a part in the rows' labels: `ResNet-50 + BAM − ResNet-50`; numbers other than 1 precede a contrast's."""
    words = ""
    for term in part.terms:
        sign, size = ("−" if term.weight < 0 else "+"), abs(term.weight)
        label = inputs.table.name_of(term.row) + ("" if size == 1 else f" × {size:g}")
        if term.column != claim.column:
            label += f" ({inputs.table.columns[term.column].label})"
        words += f" {sign} {label}" if words or sign == "−" else label
    return words.strip()


def term_key(claim: Claim, term: Term) -> str:
    """Return the key of a term's cell: its row, with the column where that is not the claim's."""
    return term.row if term.column == claim.column else f"{term.row}@{term.column}"


def describe_source(claim: Claim) -> str:
    """Return where the paper makes the claim, and whether its wording was read."""
    if not claim.source:
        return "inferred from the table's numbers"
    return f"{claim.source}, {'wording seen' if claim.wording == 'seen' else 'wording not seen'}"


def _outcome(judgement: Judgement) -> Outcome:
    return "not run" if judgement.difference is None else judgement.outcome


def _wording(inputs: ReportInputs, claim: Claim) -> str:
    """Return what a claim says, with its column where another claim says the same."""
    repeated = sum(other.says == claim.says for other in inputs.table.claims) > 1
    return f"{claim.says} ({inputs.table.columns[claim.column].label})" if repeated else claim.says
