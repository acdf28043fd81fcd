"""Evaluations in a table: a row each, and means over seeds."""

from collections.abc import Sequence
from statistics import mean

from rich.markup import escape
from rich.table import Table

from attnbench.console import make_table
from attnbench.formatting import big, spread
from attnbench.runs.evaluations import Evaluation, EvaluationEntry

Done = tuple[Evaluation, EvaluationEntry]
NOTHING = "–"
NUMBERS = ("top-1", "recorded", "difference", "MACs", "img/s")


def table_of(done: Sequence[Done]) -> Table:
    """A row for each evaluation, and one of means where several seeds were evaluated alike.

    Settings are told below each run where they vary, else below the table.
    """
    first = done[0][0]
    vary = any(evaluation.settings != first.settings for evaluation, _ in done)
    table = make_table(caption=_caption(first, vary))
    table.add_column("run", overflow="fold")  # the one column that may be narrow
    for column in NUMBERS:
        table.add_column(column, justify="right", no_wrap=True)
    for group in grouped(done):
        for evaluation, entry in group:
            table.add_row(_name(evaluation, vary), *_numbers(entry))
        if len(group) > 1:
            table.add_row(f"  mean ± std of {len(group)} seeds", *_means([entry for _, entry in group]), style="bold")
    return table


def grouped(done: Sequence[Done]) -> list[list[Done]]:
    """Evaluations that differ in the run's seed alone, together."""
    groups: dict[tuple[str, str], list[Done]] = {}
    for evaluation, entry in done:
        groups.setdefault((evaluation.record.identity, evaluation.key), []).append((evaluation, entry))
    return list(groups.values())


def _caption(first: Evaluation, vary: bool) -> str:
    settings = "" if vary else f"; settings: {escape(', '.join(first.named_settings)) or 'as trained'}"
    numbers = "test top-1 accuracy in %; MACs of one image, counted; img/s of one pass, measured once"
    return f"{first.checkpoint} checkpoint{settings}\n{numbers}"


def _name(evaluation: Evaluation, settings: bool) -> str:
    lines = [f"{evaluation.run.path.parent.name}/{evaluation.run.path.name}"]
    if settings:
        named = (f"  {key.rpartition('.')[2]}={value}" for key, value in sorted(evaluation.settings.items()))
        lines += list(named) or ["  as trained"]
    return escape("\n".join(lines))


def _numbers(entry: EvaluationEntry) -> list[str]:
    by = entry.difference
    return [
        spread([entry.accuracy]),
        spread([entry.recorded_accuracy]),
        NOTHING if by is None else f"{100 * by:+.2f}" if by else "0",  # 0 is exact, and +0.00 is not
        big(entry.costs.multiply_adds),
        f"{entry.images_per_second:,.0f}",
    ]


def _means(entries: Sequence[EvaluationEntry]) -> list[str]:
    recorded = [entry.recorded_accuracy for entry in entries if entry.recorded_accuracy is not None]
    return [
        spread([entry.accuracy for entry in entries]),
        f"{100 * mean(recorded):.2f}" if recorded else NOTHING,
        spread([entry.difference for entry in entries]),
    ]
