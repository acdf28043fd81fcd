"""The report of a pooled table: a line for each method and block, the pooled estimates, and the forest plot."""

from collections.abc import Iterator, Sequence
from statistics import median

from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.formatting import MINUS, signed, signed_with_interval
from attnbench.tables.compare_runs import check_metric, unfinished_note
from attnbench.tables.forest import Forest, ForestGroup, ForestLine
from attnbench.tables.pooled.blocks import Comparison, Comparisons, compare_in_blocks, name_options
from attnbench.tables.pooled.estimate import PooledEffect, pool
from attnbench.tables.pooled.settings import of_attention, read_settings
from attnbench.tables.pooled.sources import Sources
from attnbench.tables.remarks import code_versions, several_versions_remark, speed_remark
from attnbench.tables.report import NOTHING, Cell, Heading, Line, Report
from attnbench.tables.report_inputs import Notes
from attnbench.tables.results.records import Record
from attnbench.tables.run_keys import split_keys
from attnbench.tables.spec.table import METRICS

COSTS = {"parameters": "parameters", "multiply_adds": "multiply-adds"}
MODEL = (
    "Pooled over blocks by a random-effects model (Paule and Mandel's τ, Hartung and Knapp's 95 % interval, for one "
    "look, never narrower than without their factor); costs are medians over its blocks."
)
BLOCKS = (
    "Each line is an attention's mean over seeds minus that of attention=none, among runs that are otherwise equal (a "
    "block), with its 95 % interval from the spread over seeds that all settings of the block have in common: valid at "
    "any number of looks, not adjusted for the number of lines. Bold is what is better than none by the whole interval."
)
UNEQUAL = "the spread over seeds differs between this block's settings (Bartlett's test): interval from two of them"
NO_SPREAD = "no spread over seeds to judge by: no interval, and not pooled"


def pooled_report(sources: Sources, rows: str | None, metric: str, composer: Composer) -> Report:
    """Build the report.

    Args:
        sources: the runs.
        rows: keys of the attention whose values make a method, separated by commas; None for its choice alone.
        metric: one of `compare_runs.OF_RUNS`.
        composer: composes the runs' configurations.

    Raises:
        UserError: a flag is wrong, or there is nothing to pool.
    """
    check_metric(metric)
    settings, reasons = read_settings(sources.records, metric, composer)
    keys = _method_keys(rows, [setting.config for setting in settings])
    comparisons = compare_in_blocks(settings, keys, composer)
    return PooledReport(comparisons, metric).build(
        [*_run_remarks(sources, comparisons), *(f"Left out: {reason}." for reason in reasons)]
    )


def _method_keys(rows: str | None, configs: Sequence[RunConfig]) -> list[str]:
    keys = split_keys(rows, "--rows", configs) if rows and configs else []
    for key in keys:
        if not of_attention(key):
            raise UserError(f"--rows {key}: the rows of a pooled table are attention and its options; "
                            "whatever else differs makes a block")  # fmt: skip
    return ["attention", *(key for key in keys if key != "attention")]


class PooledReport:
    """Builds the report of comparisons of one metric."""

    def __init__(self, comparisons: Comparisons, metric: str) -> None:
        self.comparisons, self.metric, self.notes = comparisons, metric, Notes()
        self.higher_is_better = METRICS[metric] == "higher"

    def build(self, remarks: Sequence[str] = ()) -> Report:
        """Return the report; remarks come after those on how the table is made."""
        found = self.comparisons.by_method()
        pooled = {method: pool([one.effect for one in of_method]) for method, of_method in found}
        lines = tuple(line for method, of_method in found for line in self._lines(method, of_method, pooled[method]))
        model = [MODEL] if any(pooled.values()) else []
        return Report(
            title=self._title(),
            headings=tuple(self._headings()),
            lines=lines,
            notes=tuple(self.notes.texts),
            remarks=(BLOCKS, *model, *remarks, *self.comparisons.notes),
            about_columns={"measured": speed_remark(runs_in(self.comparisons))},
            forest=self._forest(found, pooled),
        )

    def _title(self) -> str:
        where = f" on {self.comparisons.data}" if self.comparisons.data else ""
        return f"Attention minus none: {self.metric.replace('_', ' ')}{where}, percentage points"

    def _headings(self) -> Iterator[Heading]:
        yield Heading("block", "block", align="left", kind="row")
        yield Heading("difference", f"attention {MINUS} none", kind="difference")
        yield Heading("none", "none (%)", kind="about")
        yield Heading("seeds", "seeds", kind="about")
        for key, title in COSTS.items():
            yield Heading(key, title, "extra", kind="cost")
        yield Heading("speed", "training speed", kind="measured", shown=False)

    def _lines(self, method: str, found: Sequence[Comparison], pooled: PooledEffect | None) -> Iterator[Line]:
        for one in found:
            yield Line(f"{method} {one.block}", self._cells(one), method)
        if pooled is not None:
            yield Line(f"{method} pooled", self._pooled_cells(found, pooled), method)

    def _cells(self, one: Comparison) -> tuple[Cell, ...]:
        marks = self._marks(one)
        seeds = [len(setting.values) for setting in (one.setting, one.plain)]
        return (
            Cell(one.block, fields={"method": one.method, "block": one.block}, marks=marks),
            self._difference(one.effect.mean, one.effect.interval, {"se": one.effect.se, "df": one.effect.df}),
            Cell(f"{one.plain_mean:.2f}", one.plain_mean, {"": one.plain_mean}),
            Cell(seeds_text(*seeds), float(seeds[0]), {"": seeds[0], "none": seeds[1]}),
            *(share_cell(one.extra_cost(key)) for key in COSTS),
            speed_cell(one.speed()),
        )

    def _marks(self, one: Comparison) -> tuple[int, ...]:
        """Note what is special about a comparison."""
        marks = self.notes.mark(f"with {name_options(one.options)}" if one.options else "")
        marks = (*marks, *self.notes.mark(f"minus {one.baseline}, not attention=none" if one.baseline else ""))
        if one.effect.se is None:
            return (*marks, *self.notes.mark(NO_SPREAD))
        return (*marks, *self.notes.mark("" if one.similar else UNEQUAL))

    def _pooled_cells(self, found: Sequence[Comparison], pooled: PooledEffect) -> tuple[Cell, ...]:
        fields = {"tau": pooled.tau, "i2": pooled.i2, "blocks": len(pooled.weights)}
        low, high = pooled.prediction or (None, None)
        used = [one for one in found if one.effect.se is not None]
        return (
            Cell(pooled_label(pooled), fields={"method": found[0].method, "block": "pooled"},
                 marks=self.notes.mark(describe_pooled(pooled))),
            self._difference(pooled.mean, pooled.interval, {**fields, "predicted_low": low, "predicted_high": high}),
            Cell(NOTHING),
            Cell(NOTHING),
            *(share_cell(middle([one.extra_cost(key) for one in used])) for key in COSTS),
            speed_cell(middle([one.speed() for one in used])),
        )  # fmt: skip

    def _difference(
        self, center: float, interval: tuple[float, float] | None, fields: dict[str, float | int | None]
    ) -> Cell:
        """Build the cell of a difference with its interval, marked where all of the interval is better than zero."""
        low, high = interval or (None, None)
        worst = low if self.higher_is_better else high
        better = worst is not None and (worst > 0 if self.higher_is_better else worst < 0)
        text = signed_with_interval(center, interval)
        return Cell(text, center, {"mean": center, "low": low, "high": high, **fields}, best=better)

    def _forest(
        self, found: Sequence[tuple[str, Sequence[Comparison]]], pooled: dict[str, PooledEffect | None]
    ) -> Forest:
        groups = (forest_group(method, of_method, pooled[method]) for method, of_method in found)
        axis = f"{self.metric.replace('_', ' ')}, attention {MINUS} none (percentage points)"
        return Forest(self._title(), axis, tuple(groups), "right" if self.higher_is_better else "left")


def forest_group(method: str, found: Sequence[Comparison], pooled: PooledEffect | None) -> ForestGroup:
    """Return the lines of a method in the forest plot."""
    weights = iter(pooled.weights if pooled else ())
    lines = [
        ForestLine(one.block, one.effect.mean, one.effect.interval, next(weights, 0.0) if one.effect.se else 0.0)
        for one in found
    ]
    if pooled is not None:
        lines.append(ForestLine(pooled_label(pooled), pooled.mean, pooled.interval, 1.0, True, pooled.prediction))
    costs = [f"{share_cell(share).text} {title}" for key, title in COSTS.items()
             if (share := middle([one.extra_cost(key) for one in found])) is not None]  # fmt: skip
    return ForestGroup(method, tuple(lines), ", ".join(costs), baseline_remark(found))


def baseline_remark(found: Sequence[Comparison]) -> str:
    """Say what a method is compared with, where that is not attention=none in every block."""
    names = dict.fromkeys(one.baseline for one in found if one.baseline)
    part = "" if all(one.baseline for one in found) else "in part "
    return f"{part}minus {', '.join(names)}" if names else ""


def share_cell(share: float | None) -> Cell:
    """Build the cell of an extra cost in per cent."""
    if share is None:
        return Cell(NOTHING)
    digits = 1 if abs(share) < 0.1 else 0
    return Cell(f"{100 * share:+.{digits}f} %".replace("-", MINUS), share, {"": share})


def speed_cell(ratio: float | None) -> Cell:
    """Build the cell of a speed as a multiple of the plain network's."""
    return Cell(NOTHING) if ratio is None else Cell(f"{ratio:.2f}×", ratio, {"": ratio})


def seeds_text(ours: int, plain: int) -> str:
    """Write the seeds of both sides, once where they are as many."""
    return str(ours) if ours == plain else f"{ours} / {plain}"


def middle(values: Sequence[float | None]) -> float | None:
    """Return the median of the known values; None if none is known."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def pooled_label(pooled: PooledEffect) -> str:
    """Name the line of a pooled estimate."""
    return f"pooled, {len(pooled.weights)} blocks"


def describe_pooled(pooled: PooledEffect) -> str:
    """Say how far blocks differ, and what a new one would show."""
    between = f"true differences vary between blocks by τ = {pooled.tau:.2f} points (I² = {100 * pooled.i2:.0f} %)"
    if pooled.prediction is None:
        return between
    low, high = map(signed, pooled.prediction)
    return f"{between}; a new block's is expected between {low} and {high} (95 % prediction interval)"


def runs_in(comparisons: Comparisons) -> list[Record]:
    """Return the records of all runs that are compared, each once."""
    settings = {id(setting): setting for one in comparisons.found for setting in (one.setting, one.plain)}
    return [record for setting in settings.values() for record in setting.records.values()]


def _run_remarks(sources: Sources, comparisons: Comparisons) -> Iterator[str]:
    """Yield where the runs are from, and on what they ran."""
    records = runs_in(comparisons)
    yield f"{len(records)} different runs, from {sources.describe()}."
    yield from unfinished_note(sources.unfinished)
    if len(versions := code_versions(records)) > 1:
        yield several_versions_remark(versions)
