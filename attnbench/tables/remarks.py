"""Remarks below a table: how it was run and judged, and what its records have in common or not."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

from attnbench.formatting import p_in_words
from attnbench.tables.cost_cells import cost_remark
from attnbench.tables.guide_cells import ABOUT as ABOUT_GUIDE
from attnbench.tables.guide_cells import guide_headings, guide_remarks
from attnbench.tables.report import Kind
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.records import Record
from attnbench.tables.results.values import Key, Result
from attnbench.tables.settings_remark import PAPER, settings_remark
from attnbench.tables.spec.notes import texts_under
from attnbench.tables.spec.table import Column
from attnbench.tables.verdicts.comparisons import RELATED, Comparisons

SPREAD = "Mean ± standard deviation over seeds (n-1)."
DIFFERENCE = (
    "Δ is the difference to the baseline row. Its interval and p value are valid however often results were looked at "
    "(mixture Bayes factor), and all intervals of a column hold together with 95 % (Bonferroni)."
)
CLAIMS = (
    "Claims are judged by the last epoch, by the same procedure: all verdicts of the table hold together with 95 %, at "
    "any number of looks (Holm's correction over the claims; a claim of several parts is supported if all parts are, "
    "each at its claim's level). Intervals are at the level at which a part was judged, and p is adjusted alike: each "
    "table corrects for its own claims, so the same difference may have another interval and p in another table."
)
UNDECIDED = (
    "“Would have shown” gives the observed difference from which these seeds decide (a true one of that size, about "
    "half of the time), and “would need” the seeds for a chance of 80 %."
)
MARGIN = (
    "Equivalent means: the interval is within the margin, half of the difference that the paper prints if not given."
)
BOLD = "A bold mean is the best of its column and differs from every other row beyond chance (95 %, at any look)."
BOLD_BESIDE = (
    " It is compared with each row by itself, while the intervals of Δ hold for the whole column together, so one of "
    "these may hold zero beside a bold mean."
)
SIBLINGS = "Labels and notes name the paper's networks; smaller networks of the same families were trained instead."
CHANGED = " with uncommitted changes"


def remarks(inputs: ReportInputs, comparisons: Comparisons) -> Iterator[str]:
    """Yield all remarks of a table."""
    if inputs.has_runs:
        yield from _method_remarks(inputs)
        if inputs.table.baseline or inputs.table.claims:
            yield from spread_remarks(comparisons)
        yield from record_remarks(inputs.results)
        if "guide" not in inputs.table.shows:
            yield from guide_remarks(inputs)
    if remark := cost_remark(inputs):
        yield remark
    yield from texts_under(inputs.table.notes, inputs.profile.name)
    if inputs.table.selection and inputs.shows_printed:
        yield f"The paper's numbers: {inputs.table.selection}."


def _method_remarks(inputs: ReportInputs) -> Iterator[str]:
    if inputs.profile.says:
        yield f"Profile {inputs.profile.name}: {inputs.profile.says}."
        if inputs.profile.name != PAPER or inputs.changes:
            yield settings_remark(list(inputs.records()))
    yield f"{SPREAD} {DIFFERENCE}" if inputs.table.baseline else SPREAD
    if len(inputs.table.rows) > 1:
        yield BOLD + BOLD_BESIDE * bool(inputs.table.baseline)
    if inputs.table.claims:
        yield f"{CLAIMS} {UNDECIDED} {MARGIN}"
    if inputs.profile.siblings:
        yield SIBLINGS


def spread_remarks(comparisons: Comparisons) -> Iterator[str]:
    """Yield for each column which rows' spread is pooled, after the test of equal variances; equal texts once."""
    columns = comparisons.inputs.table.columns
    texts = {column.label: _describe_pool(comparisons, column) for column in columns.values()}
    for text in dict.fromkeys(filter(None, texts.values())):
        labels = [label for label, other in texts.items() if other == text]
        where = "" if len(columns) == 1 else f" ({', '.join(labels)})"
        yield f"Spread{where}: {text}."


def _describe_pool(comparisons: Comparisons, column: Column) -> str:
    pool, table = comparisons.pools[column.key], comparisons.inputs.table
    if pool.p is None or column.metric in RELATED:
        return ""
    learned = " that have learned" if any((row, column.key) in comparisons.untrained for row in table.rows) else ""
    test = f"Bartlett's test of equal variances over all rows{learned}: {p_in_words(pool.p)}"
    own = [table.name_of(row) for row in table.rows if comparisons.keeps_own_spread((row, column.key))]
    who, separate = ("the other rows", f"; rows that keep their own spread: {', '.join(own)}") if own else ("all", "")
    pooled = f"{math.sqrt(pool.variance):.2g} with {pool.freedom:.0f} degrees of freedom"
    return f"{test}{separate}; pooled over {who}: {pooled}" if pool.freedom else f"{test}{separate}"


def record_remarks(results: Mapping[Key, Result]) -> Iterator[str]:
    """Yield what readers must know of the records: code versions, data, dropped settings, seeds."""
    records = [record for result in results.values() for record in result.records.values()]
    yield from _version_remarks(records)
    for data in sorted(_data_with_several_files(results)):
        yield f"{data}: some runs of a column were trained on other files than others."
    yield from _class_remarks(records)
    if dropped := sorted({key for result in results.values() for key in result.cell.dropped if result.records}):
        yield f"Settings of the paper that this profile's choices do not have: {', '.join(dropped)}."
    yield from _seed_remarks(results)


def about_columns(inputs: ReportInputs) -> dict[Kind, str]:
    """Return what readers must know of columns where these are shown."""
    records = list(inputs.records())
    if not records:
        return {}
    about: dict[Kind, str] = {
        "measured": speed_remark(records),
        "best": "The best epoch is the one with the best accuracy on the validation images.",
    }
    return about | ({"guide": ABOUT_GUIDE} if any(guide_headings(inputs)) else {})


def speed_remark(records: Iterable[Record]) -> str:
    """Return on which devices the records' speeds were measured."""
    devices = sorted({describe_device(record) for record in records})
    return f"Speeds are those of training, on {'; '.join(devices)}; runs that share a device are slower."


def several_versions_remark(versions: Sequence[str]) -> str:
    """Return from which versions of the code runs come."""
    return f"The runs come from {len(versions)} versions of the code: {', '.join(versions)}."


def code_versions(records: Iterable[Record]) -> list[str]:
    """Return the versions of the code that runs were made with, each once."""
    return sorted({code_version(record) for record in records})


def _version_remarks(records: Sequence[Record]) -> Iterator[str]:
    versions = code_versions(records)
    if len(versions) > 1:
        yield several_versions_remark(versions)
    elif any(CHANGED in version for version in versions):
        yield f"The runs come from the code's version {versions[0]}."


def _class_remarks(records: Sequence[Record]) -> Iterator[str]:
    subsets = {(record.choices["data"], record.data.classes, record.data.all_classes) for record in records}
    for data, classes, all_classes in sorted((subset for subset in subsets if subset[2]), key=str):
        yield f"{data}: {classes} of {all_classes} classes, so these are not results on the whole data set."


def _seed_remarks(results: Mapping[Key, Result]) -> Iterator[str]:
    seeds = sorted({len(result.values["last"]) for result in results.values() if result.values["last"]})
    if seeds == [1]:
        yield "One seed: no spread, no interval and no test."
    elif len(seeds) > 1:
        yield f"Cells have {seeds[0]} to {seeds[-1]} seeds; notes mark those with fewer than {seeds[-1]}."
    elif seeds:
        yield f"Each cell has {seeds[0]} seeds."


def describe_device(record: Record) -> str:
    """Return what a run was trained on: `AMD EPYC (2 cores), 1 thread, bf16`."""
    hardware = record.resolved
    devices = hardware.devices * hardware.nodes
    count = f"{devices} x " if devices > 1 else ""
    threads = ""
    if hardware.accelerator == "cpu":
        threads = f", {hardware.threads} thread{'s' * (hardware.threads > 1)}"
    return f"{count}{hardware.device_name}{threads}, {hardware.precision}"


def code_version(record: Record) -> str:
    """Return the version of the code that a run was made with."""
    git = record.environment.git
    if git is None:  # the package was installed
        return record.environment.attnbench[:7]
    return git.commit[:7] + (CHANGED if git.dirty else "")


def _data_with_several_files(results: Mapping[Key, Result]) -> set[str]:
    """Return the choices of data for which the runs of a column did not all read the same files."""
    fingerprints: dict[tuple[str, str], set[str]] = {}
    for (_, column), result in results.items():
        for record in result.records.values():
            key = (column, record.choices["data"])
            fingerprints.setdefault(key, set()).add(record.data.fingerprint)
    return {data for (_, data), different in fingerprints.items() if len(different) > 1}
