"""What a paper's table is: `configs/paper/<paper>/<table>.yaml`, what its file says.

    # One line that `attnbench list paper` shows
    title: What the table is about
    source: Where it is printed, and where our copy of its numbers was read
    overrides: [backbone=resnet50, data=cifar100, recipe=bam_cifar]     # of every cell
    columns:                       # what is trained or tested in each; without `overrides`, columns share their runs
      error: {label: CIFAR-100, metric: top1_error}
    baseline: plain                # the row that differences are taken to; `section`: the first row of each section
    rows:
      plain: {label: ResNet-50, overrides: [attention=none], error: "21.49", parameters: 23.71M}
      bam: {label: + BAM, overrides: [attention=bam], error: "20.00", parameters: 24.07M, multiply_adds: 1.25G}
    claims:                        # what the paper says of it: in each pair, the first is better than the second
      - {says: BAM helps, pairs: [[bam, plain]], column: error}

Beside its overrides a row holds the printed numbers, by column or as `parameters` and `multiply_adds`, always as text,
as the digits tell the precision. Of these, `unverified` names the ones that nobody could check, and `note` says what is
odd about the row. `evaluate` (of a row or a column) are overrides under which the trained run is tested. A table or row
that cannot be run says why in `not_runnable`. `x` (of a row) and `x_label` (of the table) make a curve over the rows.
`row_label` (of the table) stands over the rows' labels.

A profile changes what is run, not what is printed. `configs/paper/profiles.yaml` holds those of all tables: overrides,
and what stands in for each backbone; `profiles` in a table adds overrides to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

METRICS = {
    "top1_error": "lower",
    "top5_error": "lower",
    "top1_accuracy": "higher",
    "top5_accuracy": "higher",
    "mean_average_precision": "higher",  # of detectors, which are printed and not run
    "error_increase": "lower",  # of the top-1 error, over that of the column `relative_to`, as a share of it
    "accuracy_per_million": "higher",  # top-1 accuracy over the baseline's, a million additional parameters
    "response": "higher",  # mean absolute response of a stage's output over that of the first stage
}
"""What a column may hold, in per cent but for the last three, and whether a higher or a lower value is better."""
COSTS = ("parameters", "multiply_adds")
BY_SECTION = "section"


@dataclass(frozen=True)
class Column:
    """A column of results. stage: of the metric `response`. relative_to: the column that `error_increase` refers to."""

    key: str
    label: str
    metric: str
    overrides: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    split: str = "test"
    stage: str = ""
    relative_to: str = ""

    @property
    def better(self) -> str:
        """`lower` or `higher`."""
        return METRICS[self.metric]


@dataclass(frozen=True)
class Row:
    """A row. printed: numbers by column or cost, as they are printed."""

    key: str
    label: str
    printed: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    note: str = ""
    section: str = ""
    x: float | None = None
    not_runnable: str = ""


@dataclass(frozen=True)
class Claim:
    """What a paper says of its table: in each pair of rows, the first has the better value in the column."""

    says: str
    pairs: tuple[tuple[str, str], ...]
    column: str


@dataclass(frozen=True)
class Profile:
    """How a table is run. siblings: what stands in for a choice of the backbone (`resnet50`), as overrides."""

    name: str
    overrides: tuple[str, ...]
    siblings: Mapping[str, tuple[str, ...]]
    says: str


@dataclass(frozen=True)
class PaperTable:
    """A table. name: `<paper>/<table>`. number: how the paper calls it."""

    name: str
    title: str
    source: str
    columns: Mapping[str, Column]
    rows: Mapping[str, Row]
    overrides: tuple[str, ...] = ()
    baseline: str = ""
    claims: tuple[Claim, ...] = ()
    profiles: Mapping[str, tuple[str, ...]] | None = None
    notes: tuple[str, ...] = ()
    x_label: str = ""
    row_label: str = "network"
    selection: str = ""
    not_runnable: str = ""

    def baseline_of(self, row: str) -> str:
        """The row that differences of a row are taken to; empty if there is none, or if it is the row itself."""
        found = self.baseline
        if found == BY_SECTION:
            found = next(key for key, other in self.rows.items() if other.section == self.rows[row].section)
        return "" if found == row else found

    def name_of(self, row: str) -> str:
        """A row's label, with its section's before it in a table where labels alone do not tell rows apart."""
        label, section = self.rows[row].label, self.rows[row].section
        told_apart = len({other.label for other in self.rows.values()}) == len(self.rows)
        return label if told_apart or label.startswith(section) else f"{section} {label}"


def as_number(text: str) -> float:
    """A printed number: `20.00`, `24.07M`, `.245G`. Raises `ValueError`."""
    factor = {"k": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:], 1.0)
    return float(text[:-1] if factor != 1.0 else text) * factor


def unit(text: str) -> float:
    """One of a printed number's last digit."""
    factor = as_number(f"1{text[-1]}" if text[-1:] in "kMG" else "1")
    return float(factor * 10.0 ** -len(text.rstrip("kMG").partition(".")[2]))
