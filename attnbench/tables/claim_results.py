"""The claims of a table, judged by the results of its runs."""

from collections.abc import Iterator, Sequence

from attnbench.tables.claims import combine, describe, judge
from attnbench.tables.report import ClaimResult
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.spec import Claim
from attnbench.tables.values import Values


def claim_results(inputs: ReportInputs) -> Iterator[ClaimResult]:
    """Judge all claims of a table together and yield the result of each."""
    claims = inputs.table.claims
    pairs = [(claim, pair) for claim in claims for pair in _pairs(inputs, claim)]
    judgements = judge([_sides(inputs, claim, pair) for claim, pair in pairs], "lower")
    looks = f"; looked at {inputs.looks} times" if inputs.looks > 1 and inputs.has_runs else ""
    for claim in claims:
        parts = [judgement for judgement, (owner, _) in zip(judgements, pairs, strict=True) if owner is claim]
        judgement = combine(parts)
        left_out = len(claim.pairs) - len(parts)
        without = f"; {left_out} of {len(claim.pairs)} pairs left out by the profile" if left_out else ""
        yield ClaimResult(_wording(inputs, claim), judgement.outcome, describe(judgement) + without + looks)


def _pairs(inputs: ReportInputs, claim: Claim) -> Sequence[tuple[str, str]]:
    """Return the pairs of a claim without those of rows that the profile leaves out; all, if it leaves out all."""
    reasons = set(inputs.profile.left_out.values())
    pairs = [
        pair
        for pair in claim.pairs
        if all(inputs.results[row, claim.column].cell.reason not in reasons for row in pair)
    ]
    return pairs or claim.pairs


def _sides(inputs: ReportInputs, claim: Claim, pair: tuple[str, str]) -> tuple[Values, Values]:
    """Return the values of both rows by seed, negated where higher ones are better, so that lower ones always are."""
    sign = 1 if inputs.table.columns[claim.column].better == "lower" else -1
    first, second = (inputs.results[row, claim.column].values["last"] for row in pair)
    return {seed: sign * value for seed, value in first.items()}, {seed: sign * v for seed, v in second.items()}


def _wording(inputs: ReportInputs, claim: Claim) -> str:
    """Return what a claim says, with its column where another claim says the same."""
    repeated = sum(other.says == claim.says for other in inputs.table.claims) > 1
    return f"{claim.says} ({inputs.table.columns[claim.column].label})" if repeated else claim.says
