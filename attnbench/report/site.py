"""The report of a group of runs: one page with their table, and the table in the formats of papers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.explain.gallery import VIEWER_SCRIPT, VIEWER_STYLES
from attnbench.plain_text import plain
from attnbench.report.details import DetailsWriter
from attnbench.report.explained import explain_rows
from attnbench.report.folder import check_place, write_report
from attnbench.report.graphics import learning_curve_svg, span_of
from attnbench.report.rows import ReportRow, rows_of, sorted_report
from attnbench.runs.explanations import Request
from attnbench.runs.folder import RunFolder
from attnbench.runs.record_writer import now
from attnbench.tables.build_report import build_report
from attnbench.tables.compare_runs import inputs_of_runs
from attnbench.tables.render import FORMATS
from attnbench.tables.render.html import Additions, render
from attnbench.tables.render.per_class import STYLES
from attnbench.tables.report import Cell, Heading, Report
from attnbench.tables.report_inputs import ReportInputs
from attnbench.training.trained_run import TrainedRun, load_run
from attnbench.version import __version__

HERE = Path(__file__).parent
TABLES = {"table.csv": "csv", "table.md": "markdown", "table.tex": "latex"}
"""Files of the table in other formats."""
SAME_TABLE = f"The same table in other formats is beside this page: {', '.join(TABLES)}."
CURVE = "curve"
"""Key of the column of learning curves."""


@dataclass(frozen=True)
class Options:
    """How a report is made.

    Attributes:
        metric: of the table; None for that by which the runs' best epochs were chosen.
        rows: keys by which rows differ, separated by commas; None for all in which the runs differ.
        images: test images to explain by a run of each row; none if 0.
        checkpoint: whose weights explain them: `last` or `best`.
        config_dir: the folder of the user's own choices.
        trusted: packages whose classes the runs may name in place of their choices' own.
        location: `data.root=DIR`, where the runs' data is today; empty where it was not moved.
    """

    metric: str | None = None
    rows: str | None = None
    images: int = 0
    checkpoint: str = "last"
    config_dir: str | None = None
    trusted: tuple[str, ...] = ()
    location: tuple[str, ...] = ()


def make_report(runs: Sequence[RunFolder], options: Options, to: Path) -> list[ReportRow]:
    """Write the report of runs to a folder and return its rows.

    Raises:
        UserError: an option is wrong, no run is finished, or something else is in the folder.
        WriteError: the folder cannot be written.
    """
    check_place(to)
    inputs = inputs_of_runs(runs, options.rows, None, options.metric, config_dir=options.config_dir)
    report = build_report(inputs)
    rows = rows_of(inputs, report)
    ordered = sorted_report(inputs, report, rows)
    explained = _explained(rows, options) if options.images else {}
    page = _page(inputs, ordered, rows, explained, options)
    tables = {name: FORMATS[form](replace(ordered, forest=None)) for name, form in TABLES.items()}
    files = {name: plain(text, keep="\t\r\n") for name, text in {"index.html": page, **tables}.items()}
    about = {
        "runs": [f"{run.path.parent.name}/{run.path.name}" for run in runs],
        "attnbench": __version__,
        "written": now(),
    }
    write_report(to, files, about)
    return rows


def _explained(rows: Sequence[ReportRow], options: Options) -> dict[str, str]:
    """Return the viewers of rows, by their keys."""

    def load(folder: Path) -> TrainedRun:
        return load_run(
            folder,
            options.checkpoint,
            config_dir=options.config_dir,
            trust=options.trusted,
            overrides=options.location,
        )

    return explain_rows(rows, Request(options.images, checkpoint=options.checkpoint), load)


def _page(
    inputs: ReportInputs, report: Report, rows: Sequence[ReportRow], explained: Mapping[str, str], options: Options
) -> str:
    baseline = next((row for row in rows if row.key == inputs.table.baseline), None)
    writer = DetailsWriter(Composer(options.config_dir), options.config_dir, rows, baseline, report.forest)
    additions = Additions(
        graphics=_curves(rows),
        details={row.key: writer.write(row, explained.get(row.key, "")) for row in rows},
        styles=(STYLES, VIEWER_STYLES, HERE / "report.css"),
        scripts=(HERE / "report.js", VIEWER_SCRIPT),
    )
    shown = replace(report, per_class=(), remarks=(*report.remarks, SAME_TABLE))
    (column,) = inputs.table.columns.values()
    return render(_with_curves(shown, column.is_error), additions)


def _with_curves(report: Report, is_error: bool) -> Report:
    """Return a report with a column for learning curves after the rows' labels."""
    heading = Heading(CURVE, f"{'error' if is_error else 'accuracy'} by epoch", align="left")
    first, *others = report.headings
    lines = (replace(line, cells=(line.cells[0], Cell(""), *line.cells[1:])) for line in report.lines)
    return replace(report, headings=(first, heading, *others), lines=tuple(lines))


def _curves(rows: Sequence[ReportRow]) -> dict[tuple[str, str], str]:
    """Return the learning curves of rows, on one axis."""
    curves = {row.key: row.curve for row in rows if row.curve is not None}
    if not curves:
        return {}
    span = span_of(value for curve in curves.values() for value in (*curve.y, *curve.low, *curve.high))
    last = max(curve.x[-1] for curve in curves.values())
    return {(key, CURVE): learning_curve_svg(curve, last, span) for key, curve in curves.items()}
