"""The claims of a table as questions that runs answer: the kinds of runs that each part compares, and its numbers."""

from collections.abc import Iterator, Mapping

from attnbench.reproduce.prospects import Question, QuestionPart
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key
from attnbench.tables.spec.table import ClaimPart, PaperTable, Term
from attnbench.tables.verdicts.anytime import LEVEL
from attnbench.tables.verdicts.claim_results import claim_result, judge_claims
from attnbench.tables.verdicts.comparisons import RELATED, Comparisons, sum_weights
from attnbench.tables.verdicts.judge import Part, PartJudgement, claim_key

Sample = tuple[str, *tuple[object, ...]]
"""A kind of runs, the overrides that they are tested under, and the metric."""


def questions(inputs: ReportInputs, kinds: Mapping[Key, str]) -> Iterator[Question]:
    """Yield the claims of a table.

    Args:
        inputs: the table and its results.
        kinds: the identity of each cell's runs; without cells that cannot be run.
    """
    comparisons = Comparisons(inputs)
    judged = list(judge_claims(inputs, comparisons))
    share = LEVEL / max(1, len({claim_key(asked) for _, _, asked, _ in judged if asked}))
    for claim, parts, asked, judgement in judged:
        result = claim_result(comparisons, claim, parts, asked, judgement)
        weights = [weights_of(inputs, part, kinds) for part in parts]
        outcomes = [part.outcome for part in result.parts]
        numbers = asked or [Part(None, 1)] * len(parts)  # none of networks that have not learned
        levels = [_level(*each, share) for each in zip(asked, judgement.parts, strict=True)] or [share] * len(parts)
        own = tuple(map(QuestionPart, numbers, outcomes, weights, levels))
        seeds = min(part.n for part in result.parts)
        yield Question(result.claim, result.outcome, result.details, seeds, claim.column, own)


def _level(part: Part, judgement: PartJudgement, share: float) -> float:
    """Return the level of a part's interval; of one that was not tested, its share of the table's level."""
    return judgement.level if part.p is not None else min(share, judgement.level)


def weights_of(inputs: ReportInputs, part: ClaimPart, kinds: Mapping[Key, str]) -> dict[str, float]:
    """Return the kinds of runs that a part compares and their weights; empty if these cannot be run, or are the same.

    Kinds whose values belong together seed by seed have the weight 1, so that they get the same seeds.
    """
    cells = [(term.row, term.column) for term in part.terms]
    subtracted = list(_subtracted(inputs.table, part))
    samples = _samples(inputs, part, kinds) if all(cell in kinds for cell in [*cells, *subtracted]) else {}
    used = dict.fromkeys(kind for kind, *_ in samples)
    if subtracted or len({column for _, column in cells}) > 1 or len(used) < len(samples):
        return dict.fromkeys([*used, *(kinds[cell] for cell in subtracted if samples)], 1.0)
    return {kind: weight for (kind, *_), weight in samples.items()}


def _samples(inputs: ReportInputs, part: ClaimPart, kinds: Mapping[Key, str]) -> dict[Sample, float]:
    """Return the weight of every metric of a kind of runs; those whose weights cancel are left out."""

    def sample_of(term: Term) -> Sample:
        key, column = (term.row, term.column), inputs.table.columns[term.column]
        cell = inputs.results[key].cell
        return kinds[key], cell.evaluate, column.metric, column.split, column.stage, cell.map

    return sum_weights(part.terms, sample_of)


def _subtracted(table: PaperTable, part: ClaimPart) -> Iterator[Key]:
    """Yield the cells of the baselines that a column's values already hold."""
    for term in part.terms:
        baseline = table.baseline_of(term.row)
        if baseline and table.columns[term.column].metric in RELATED:
            yield baseline, term.column
