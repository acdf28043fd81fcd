"""Results in the terminal: one run in a few lines, a sweep in a table."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from rich.console import Console
from rich.table import Table

from attnbench.runs.folder import Job, shown

Record = dict[str, Any]


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def big(number: float) -> str:
    """A large number with a unit prefix: 22.6 M."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g} {letter}"
    return f"{number:.3g}"


def show_result(console: Console, record: Record, folder: Path, found: bool = False) -> None:
    """Print a finished run: accuracy, size, speed, and where it lies."""
    head = "found finished" if found else f"finished in {duration(record['wall_seconds'])}"
    console.print(f"{head}: {shown(folder)}", soft_wrap=True)
    best = record.get("test/best/top1_accuracy")
    accuracy = f"  test top-1 accuracy  {record['test/top1_accuracy']:.2%} (last epoch)"
    if best is not None:
        accuracy += f", {best:.2%} (best validation epoch, {record['best_epoch']} of {record['epochs']})"
    console.print(accuracy, soft_wrap=True)
    cost = f"  parameters {record['parameters']:,} · multiply-adds {big(record['multiply_adds'])} an image"
    console.print(f"{cost} · training {record['images_per_second']:,.0f} img/s", soft_wrap=True)
    output = folder.parent.parent.parent
    console.print(f"  curves: tensorboard --logdir {shown(output)}", soft_wrap=True)
    if found:
        console.print("  to train it anew: run.again=true", soft_wrap=True)


def labels(jobs: Sequence[Job]) -> dict[str, str]:
    """A short label for each identity: the choices and values in which the jobs differ, the seed aside."""
    leaves = {job.identity: {**job.config.identity, **job.config.choices} for job in jobs}
    keys = {key: None for values in leaves.values() for key in values if not key.split(".")[-1].startswith("_")}
    varying = [key for key in keys if len({repr(values.get(key)) for values in leaves.values()}) > 1]
    choices = [key for key in varying if any(key in job.config.choices for job in jobs)]
    # a choice that differs brings values along that differ; only those that differ within one choice are told
    told = [key for key in varying if key in choices or _varies_within(key, choices, leaves)]
    return {
        identity: " ".join(f"{key}={values[key]}" for key in (*choices, *(k for k in told if k not in choices)) if key in values)
        or "all runs"
        for identity, values in leaves.items()
    }


def _varies_within(key: str, choices: Sequence[str], leaves: dict[str, dict[str, Any]]) -> bool:
    """Whether a key has several values among jobs that made the same choices."""
    seen: dict[tuple[Any, ...], set[str]] = {}
    for values in leaves.values():
        if key in values:
            seen.setdefault(tuple(values.get(choice) for choice in choices), set()).add(repr(values[key]))
    return any(len(found) > 1 for found in seen.values())


def comparison(jobs: Sequence[Job], records: dict[Path, Record]) -> Table:
    """A table of a sweep: one row per configuration, over the seeds that finished."""
    table = Table(title="test top-1 accuracy, %", title_justify="left", caption_justify="left")
    for column in ("", "seeds", "last epoch", "best val. epoch", "parameters", "multiply-adds", "img/s"):
        table.add_column(column, justify="left" if not column else "right")
    groups: dict[str, list[Record]] = {}
    for job in jobs:
        groups.setdefault(job.identity, [])
        if job.folder in records:
            groups[job.identity].append(records[job.folder])
    named = labels(jobs)
    for identity, found in groups.items():
        last = spread([record["test/top1_accuracy"] for record in found])
        best = spread([record.get("test/best/top1_accuracy") for record in found])
        first = found[0] if found else None
        size = (f"{first['parameters']:,}", big(first["multiply_adds"])) if first else ("", "")
        speed = f"{mean(record['images_per_second'] for record in found):,.0f}" if found else ""
        table.add_row(named[identity], str(len(found)), last, best, *size, speed)
    if any(len(found) > 1 for found in groups.values()):
        table.caption = "mean ± standard deviation over seeds (n-1)"
    return table


def spread(values: Sequence[float | None]) -> str:
    """Fractions as a percentage: mean and standard deviation (n-1); only the mean of one; nothing of none."""
    numbers = [100 * value for value in values if value is not None]
    if not numbers:
        return "–"
    return f"{mean(numbers):.2f}" + (f" ± {stdev(numbers):.2f}" if len(numbers) > 1 else "")
