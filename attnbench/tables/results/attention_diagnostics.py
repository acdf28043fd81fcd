"""An attention's own diagnostics in records: importances that collapsed, and how much a guide weighs."""

from collections.abc import Sequence
from statistics import fmean

from attnbench.runs.metric_names import ATTENTION_PREFIX
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Result

COLLAPSED = f"{ATTENTION_PREFIX}collapsed"
GUIDE_SHARES = ("guide_loss_share", "guide_gradient_share", "guide_importance_share")
"""The shares of a guide that training records, by their names in a record after `attention/`."""


def collapse_note(result: Result) -> str:
    """Return the note for a cell whose attention ended on one channel in some runs; empty if it did in none."""
    collapsed = sorted(seed for seed, record in result.records.items() if record.metrics.get(COLLAPSED))
    if not collapsed:
        return ""
    seeds = f"seed{'s' * (len(collapsed) > 1)} {', '.join(map(str, collapsed))}"
    return f"the channel importance has collapsed (entropy below 0.1 at the end of training) with {seeds}"


def guide_shares(records: Sequence[Record]) -> dict[str, float]:
    """Return the mean of each share over the runs that recorded all of them; empty if no run did."""
    found = [[record.metrics.get(f"{ATTENTION_PREFIX}{name}") for name in GUIDE_SHARES] for record in records]
    complete = [[share for share in shares if share is not None] for shares in found if None not in shares]
    return dict(zip(GUIDE_SHARES, map(fmean, zip(*complete, strict=True)), strict=True)) if complete else {}
