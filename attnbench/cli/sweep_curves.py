"""The curves of a sweep grouped by attention, beside those of its runs."""

from collections.abc import Sequence

from attnbench.cli.output import print_message
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.sweeps import sweep_of

CURVES = "curves"


def are_grouped(jobs: Sequence[Job]) -> bool:
    """Return whether the curves of a sweep were grouped after the last of its runs was recorded."""
    try:
        grouped = (sweep_of(jobs).path / CURVES).stat().st_mtime_ns
        return all(RunFolder(job.folder).record_file.stat().st_mtime_ns < grouped for job in jobs)
    except OSError:
        return False


def group_curves(jobs: Sequence[Job]) -> None:
    """Write the curves of a sweep grouped by attention, for TensorBoard's tab Custom Scalars."""
    from attnbench.config.diff import differences, label, shown_choices
    from attnbench.training.sweep_curves import Curve, write_curves

    names = differences([job.config for job in jobs])
    curves = {}
    for job, name in zip(jobs, names, strict=True):
        rest = {key: value for key, value in name.items() if key != "attention"}
        curve = Curve(shown_choices(job.config)["attention"], f"{label(rest)} seed{job.seed}".strip())
        curves[curve] = readable(RunFolder(job.folder).rows, [])
    try:
        write_curves(sweep_of(jobs).path / CURVES, curves)
    except OSError as error:  # the runs have their own event files
        print_message(f"the grouped curves could not be written: {error}")
