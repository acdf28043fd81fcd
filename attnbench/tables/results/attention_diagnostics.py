"""Notes and remarks from an attention's own diagnostics: importances that collapsed, and how much a guide weighs."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from attnbench.runs.metric_names import ATTENTION_PREFIX
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Key, Result
from attnbench.tables.spec.table import PaperTable

COLLAPSED = f"{ATTENTION_PREFIX}collapsed"
SHARES = {
    f"{ATTENTION_PREFIX}guide_loss_share": "of the loss",
    f"{ATTENTION_PREFIX}guide_gradient_share": "of the gradient at the features",
    f"{ATTENTION_PREFIX}guide_importance_share": "of the gradient at the channel importance",
}
"""The shares of a guide that training records, by their names in a record."""


def collapse_note(result: Result) -> str:
    """Return the note for a cell whose attention ended on one channel in some runs; empty if it did in none."""
    collapsed = sorted(seed for seed, record in result.records.items() if record.metrics.get(COLLAPSED))
    if not collapsed:
        return ""
    seeds = f"seed{'s' * (len(collapsed) > 1)} {', '.join(map(str, collapsed))}"
    return f"the channel importance has collapsed (entropy below 0.1 at the end of training) with {seeds}"


def guide_remarks(table: PaperTable, results: Mapping[Key, Result]) -> Iterator[str]:
    """Yield one remark with the guide's shares in each row whose runs were trained with a guide."""
    rows = {}
    for key in table.rows:
        records = [record for (row, _), result in results.items() if row == key for record in result.records.values()]
        if shares := _shares(records):
            rows[table.name_of(key)] = " / ".join(shares)
    if rows:
        parts = ", ".join(SHARES.values())
        listed = "; ".join(f"{name}: {shares} %" for name, shares in rows.items())
        yield f"The guide's share {parts}, at the end of training, against cross-entropy: {listed}."


def _shares(records: Sequence[Record]) -> list[str]:
    """Return the mean shares over the runs that recorded them, in per cent; none if no run did."""
    guided = [record.metrics for record in records if all(record.metrics.get(name) is not None for name in SHARES)]
    if not guided:
        return []
    return [f"{100 * fmean(metrics[name] or 0.0 for metrics in guided):.2g}" for name in SHARES]
