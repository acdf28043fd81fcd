"""Results in the terminal: one run in a few lines, a sweep in a table."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean

from rich.console import Console
from rich.table import Table

from attnbench.config.diff import Difference, differences
from attnbench.console import make_table
from attnbench.formatting import big, duration, of_all, spread
from attnbench.runs.folder import Job, as_typed, shown
from attnbench.runs.metric_names import TEST, TITLES, TOP1, main_metric
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.tables.results.values import describe_divergence


def show_result(console: Console, record: FinishedRecord, folder: Path, found: bool = False) -> None:
    """Print a finished run: its accuracy, size, speed and folder.

    Args:
        console: where to print.
        record: the run's record.
        folder: the run's folder, with the seed.
        found: whether the run had been finished before.
    """
    heading = "already trained" if found else f"finished in {duration(record.wall_seconds)}"
    console.print(f"{heading}: {shown(folder)}", soft_wrap=True)
    last, best, title = record.main_value(TEST), record.main_value(TEST, best=True), TITLES[main_metric(record.metrics)]
    accuracy = f"  test {title}  {last:.2%} (last epoch)" if last is not None else "  there is no test set"
    if best is not None:
        accuracy += f", {best:.2%} (best validation epoch, {record.best_epoch} of {record.epochs})"
    console.print(accuracy, soft_wrap=True)
    cost = f"  parameters {record.costs.parameters:,} · multiply-adds {big(record.costs.multiply_adds)} an image"
    console.print(f"{cost} · training {record.images_per_second:,.0f} img/s", soft_wrap=True)
    if skipped := record.data.skipped_images:
        console.print(f"  left out because they cannot be decoded: {skipped:,} images", soft_wrap=True)
    if part := part_of_data(record):
        console.print(f"  on {part}", soft_wrap=True)
    output = folder.parent.parent.parent
    console.print(f"  curves: tensorboard --logdir {as_typed(output)}", soft_wrap=True)
    if found:
        console.print("  to train it again: run.again=true", soft_wrap=True)


def part_of_data(record: FinishedRecord) -> str:
    """Return which part of a data set a run used, or nothing if it used all of it.

    Results on fewer classes are not comparable with those on all.
    """
    whole = record.data.all_classes
    return f"a part of the data set: {of_all(record.data.classes, whole)} classes" if whole else ""


def comparison(jobs: Sequence[Job], records: Mapping[Path, RunRecord]) -> Table:
    """Build a sweep's table: one row per configuration, with means over the seeds that finished.

    Args:
        jobs: the sweep's runs.
        records: the records of runs that finished or diverged, by folder.
    """
    finished = {folder: record for folder, record in records.items() if isinstance(record, FinishedRecord)}
    different = dict(zip((job.identity for job in jobs), differences([job.config for job in jobs]), strict=True))
    keys = list(dict.fromkeys(key for difference in different.values() for key in difference))
    several_seeds = any(job.seed != jobs[0].seed for job in jobs)
    titles = {TITLES[main_metric(record.metrics)]: None for record in finished.values()}
    note = f"test {' or '.join(titles) or TITLES[TOP1]} in %, at the last and at the best validation epoch"
    note += "; mean ± standard deviation over seeds (n-1)" if several_seeds else ""
    parts = sorted({part for record in finished.values() if (part := part_of_data(record))})
    table = make_table(caption="; ".join([note, *(f"on {part}" for part in parts)]))
    for key in keys:
        table.add_column(key, no_wrap=True)
    for column in ("seeds", "last", "best", "params", "MACs", "img/s"):
        table.add_column(column, justify="right", no_wrap=True)
    different = _baseline_first(jobs, different)
    for identity, difference in different.items():
        folders = [job.folder for job in jobs if job.identity == identity and job.folder in records]
        own = [finished[folder] for folder in folders if folder in finished]
        table.add_row(*(difference.get(key, "") for key in keys), *_cells(own, len(folders) - len(own)))
    return table


def _baseline_first(jobs: Sequence[Job], different: Mapping[str, Difference]) -> dict[str, Difference]:
    """Return the configurations with those without attention first, and otherwise as they were swept."""
    plain = {job.identity for job in jobs if job.config.choices.get("attention") == "none"}
    return dict(sorted(different.items(), key=lambda item: item[0] not in plain))


def _cells(records: Sequence[FinishedRecord], diverged: int) -> Iterator[str]:
    """Yield number of seeds, accuracies, size and speed of one configuration."""
    yield str(len(records) + diverged)
    if diverged:
        yield describe_divergence(diverged, len(records))
        yield ""
    else:
        yield spread([record.main_value(TEST) for record in records])
        yield spread([record.main_value(TEST, best=True) for record in records])
    if records:
        yield big(records[0].costs.parameters)
        yield big(records[0].costs.multiply_adds)
        yield f"{mean(record.images_per_second for record in records):,.0f}"
