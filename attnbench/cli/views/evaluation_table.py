"""Evaluations as a table: one row each, and means over seeds."""

from collections.abc import Sequence
from statistics import mean

from rich.table import Table

from attnbench.console import make_table
from attnbench.formatting import big, spread
from attnbench.runs.evaluations import Evaluation, EvaluationEntry
from attnbench.runs.metric_names import MAP50, TITLES, TOP1, main_metric

Result = tuple[Evaluation, EvaluationEntry]
NOTHING = "–"
NUMBERS = ("recorded", "difference", "MACs", "img/s")
HEADINGS = {TOP1: "top-1", MAP50: TITLES[MAP50]}


def evaluation_table(results: Sequence[Result]) -> Table:
    """Build a table with a row for each evaluation, and a row of means where several seeds have the same settings.

    Settings that differ are shown with each run, settings that all share below the table.
    """
    first = results[0][0]
    settings_differ = any(evaluation.settings != first.settings for evaluation, _ in results)
    main = main_metric(results[0][1].metrics)
    table = make_table(caption=_caption(first, TITLES[main], settings_differ))
    table.add_column("run", overflow="fold")  # the one column that may be narrow
    for column in (HEADINGS[main], *NUMBERS):
        table.add_column(column, justify="right", no_wrap=True)
    for group in _grouped_by_settings(results):
        for evaluation, entry in group:
            table.add_row(_name(evaluation, settings_differ), *_numbers(entry))
        if len(group) > 1:
            table.add_row(f"  mean ± std of {len(group)} seeds", *_means([entry for _, entry in group]), style="bold")
    return table


def _grouped_by_settings(results: Sequence[Result]) -> list[list[Result]]:
    """Group evaluations that differ only in the run's seed."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for evaluation, entry in results:
        groups.setdefault((evaluation.record.identity, evaluation.key), []).append((evaluation, entry))
    return list(groups.values())


def _caption(first: Evaluation, metric: str, settings_differ: bool) -> str:
    shared = "" if settings_differ else f"; settings: {', '.join(first.named_settings) or 'as trained'}"
    numbers = f"test {metric} in %; MACs of one image, counted; img/s of one pass, measured once"
    return f"{first.checkpoint} checkpoint{shared}\n{numbers}"


def _name(evaluation: Evaluation, with_settings: bool) -> str:
    lines = [f"{evaluation.run.path.parent.name}/{evaluation.run.path.name}"]
    if with_settings:
        settings = (f"  {key.rpartition('.')[2]}={value}" for key, value in sorted(evaluation.settings.items()))
        lines += list(settings) or ["  as trained"]
    return "\n".join(lines)


def _numbers(entry: EvaluationEntry) -> list[str]:
    change = entry.difference
    return [
        spread([entry.accuracy]),
        spread([entry.recorded_accuracy]),
        NOTHING if change is None else f"{100 * change:+.2f}" if change else "0",  # 0 is exact, and +0.00 is not
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
