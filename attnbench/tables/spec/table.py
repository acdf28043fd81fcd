"""A paper's table as its file `configs/paper/<paper>/<table>.yaml` describes it.

    # One line that `attnbench list paper` shows
    title: What the table is about
    source: Where it is printed, and where our copy of its numbers was read
    overrides: [backbone=resnet50, data=cifar100, recipe=bam_cifar]     # of every cell
    columns:                       # what is trained or tested in each; without `overrides`, columns share their runs
      error: {label: CIFAR-100, metric: top1_error}
    baseline: plain                # the row that differences refer to; `section`: the first row of each section
    rows:
      plain: {label: ResNet-50, overrides: [attention=none], error: "21.49", parameters: 23.71M}
      bam: {label: + BAM, overrides: [attention=bam], error: "20.00", parameters: 24.07M, multiply_adds: 1.25G}
    margin: 0.3                    # differences below it do not matter, in the columns' unit; a claim may have its own
    claims:                        # what the paper says of its table: in each pair, the first is better than the second
      - {says: BAM helps, pairs: [[bam, plain]], column: error, from: section 4.2, wording: seen}
      - {says: BAM makes up for the depth, equal: [[bam, resnet101]], margin: 0.5}        # the first is on a par
      - {says: BAM helps more with depth, contrasts: [{bam101: 1, resnet101: -1, bam: -1, plain: 1}]}

A claim has one or several parts, each a pair, a pair of equals, or a contrast: a sum of the rows' means, each times a
number, that is claimed to be better than zero. Keys of a contrast are rows, or `row@column`. `from` says where the
paper makes the claim, and `wording` whether its own words were read (`seen`) or not (`inferred`).

Beside its overrides a row holds the printed numbers, by column or as `parameters` and `multiply_adds`, always as text,
because the digits show the precision. `unverified` names the printed numbers that nobody could check, and `note` says
what is odd about the row. `evaluate` (of a row or a column) lists overrides under which the trained run is tested. A
table or row that cannot be run gives the reason in `not_runnable`. `x` (of a row) and `x_label` (of the table) make a
curve over the rows. `row_label` (of the table) is the heading of the rows' labels. `shows` (of the table) lists columns
that are otherwise shown only by `attnbench table --columns`: `guide`, `measured` or single ones of theirs. `map` (of a
row or a column) names the map whose score is shown, and `figure` (of the table) the picture that is drawn beside it.
Claims about networks that have learned too little are not judged: `least_over_chance` (of the table, 3 by default) says
how many times chance their accuracy must be.

A profile changes what is run, not what is printed. `configs/paper/profiles.yaml` holds the profiles of all tables:
their overrides, which smaller network replaces each backbone, and which backbones are `left_out`, with the reason;
`profiles` in a table adds overrides to them, and may replace the smaller networks of some backbones:

    profiles:
      quick: [recipe.epochs=4]
      small: {overrides: [recipe.lr=0.4], siblings: {preact_resnet164: [backbone=preact_resnet164, backbone.width=8]}}

`notes` of the table, and `note` of a row, are texts that are printed under every profile. One that is not true under
all names those under which it is:

    notes:
      - The paper prints no spread.
      - {text: The recipe is that of the released script., profiles: [paper]}
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from attnbench.runs.explanation_entry import FAITHFULNESS, LOCALISATION
from attnbench.runs.metric_names import MAP, MAP50, MAP75, VOC07_MAP50, VOC12_MAP50
from attnbench.tables.spec.notes import NO_NOTE, Note

Wording = Literal["seen", "inferred"]
WORDINGS: tuple[Wording, ...] = get_args(Wording)
Picture = Literal["", "sheets", "comparison"]
PICTURES: tuple[Picture, ...] = get_args(Picture)
EXPLAINED = LOCALISATION | FAITHFULNESS
"""Scores of maps, which explaining a run gives."""
DETECTION = (MAP, MAP50, MAP75, VOC07_MAP50, VOC12_MAP50)
"""Mean average precisions of detectors."""
METRICS = {
    "top1_error": "lower",
    "top5_error": "lower",
    "top1_accuracy": "higher",
    "top5_accuracy": "higher",
    **dict.fromkeys(DETECTION, "higher"),
    "error_increase": "lower",  # of the top-1 error, over that of the column `relative_to`, as a share of it
    "accuracy_per_million": "higher",  # top-1 accuracy over the baseline's, a million additional parameters
    "response": "higher",  # mean absolute response of a stage's output over that of the first stage
    **EXPLAINED,
}
"""Metrics of a column, and whether a lower or a higher value is better; in per cent, except for the three before."""
COSTS = ("parameters", "multiply_adds")
BY_SECTION = "section"
LEAST_OVER_CHANCE = 3.0
"""Times chance: the accuracy from which a network counts as trained."""


@dataclass(frozen=True)
class Column:
    """A column of results.

    Attributes:
        split: the part of the data that the metric is read from.
        stage: the stage whose response the metric `response` reads.
        relative_to: key of the column that the metric `error_increase` refers to.
        epoch: `initial` reads the metric `response` from the network before training; empty: from the trained one.
        map: whose score a metric of `EXPLAINED` is; empty: the class activation map where the classifier pools.
    """

    key: str
    label: str
    metric: str
    overrides: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    split: str = "test"
    stage: str = ""
    relative_to: str = ""
    epoch: Literal["", "initial"] = ""
    map: str = ""

    @property
    def better(self) -> str:
        """Which values are better: `lower` or `higher`."""
        return METRICS[self.metric]

    @property
    def is_error(self) -> bool:
        """Whether the metric is an error, so that learning curves beside it are of the error too."""
        return self.metric.endswith(("error", "error_increase"))


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        printed: the paper's numbers, by column or cost, as they are printed.
        map: of the row's runs, whose scores are shown in place of the columns' maps; other metrics are left empty.
    """

    key: str
    label: str
    printed: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    note: Note = NO_NOTE
    section: str = ""
    x: float | None = None
    not_runnable: str = ""
    map: str = ""


@dataclass(frozen=True)
class Term:
    """A cell's mean and the number that it is multiplied by in a contrast."""

    row: str
    column: str
    weight: float


@dataclass(frozen=True)
class ClaimPart:
    """A sum of cells' means, each times a number, that is claimed to be better than zero or to be within the margin."""

    terms: tuple[Term, ...]
    equal: bool = False


@dataclass(frozen=True)
class Claim:
    """A statement of the paper about a column of its table.

    Attributes:
        pairs: rows of which the first has the better value.
        equal: rows that differ by less than the margin.
        contrasts: sums of rows' means, each times a number, that are better than zero; by `row` or `row@column`.
        margin: the largest difference that does not matter, in the column's unit; None for the default.
        source: where the paper says it; empty if it is inferred from the table's numbers.
        wording: whether the paper's own words were read.
    """

    says: str
    pairs: tuple[tuple[str, str], ...]
    column: str
    equal: tuple[tuple[str, str], ...] = ()
    contrasts: tuple[Mapping[str, float], ...] = ()
    margin: float | None = None
    source: str = ""
    wording: Wording = "inferred"

    @property
    def parts(self) -> tuple[ClaimPart, ...]:
        """All parts: pairs, pairs of equals, contrasts."""
        better = [self._difference(pair) for pair in self.pairs]
        equal = [self._difference(pair, equal=True) for pair in self.equal]
        return (*better, *equal, *map(self._contrast, self.contrasts))

    def _difference(self, pair: tuple[str, str], equal: bool = False) -> ClaimPart:
        first, second = pair
        return ClaimPart((Term(first, self.column, 1.0), Term(second, self.column, -1.0)), equal)

    def _contrast(self, weights: Mapping[str, float]) -> ClaimPart:
        cells = {key: key.partition("@") for key in weights}
        return ClaimPart(
            tuple(Term(row, column or self.column, weights[key]) for key, (row, _, column) in cells.items())
        )


@dataclass(frozen=True)
class Profile:
    """A way to run a table.

    Attributes:
        siblings: the overrides that replace a choice of backbone (`resnet50`), by choice.
        left_out: the reason why rows with a choice of backbone are not run, by choice.
    """

    name: str
    overrides: tuple[str, ...]
    siblings: Mapping[str, tuple[str, ...]]
    says: str
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ProfileChanges:
    """What a table changes of a profile.

    Attributes:
        overrides: that are added to the profile's.
        siblings: that replace those of the profile, by choice of backbone.
    """

    overrides: tuple[str, ...] = ()
    siblings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper; `name` is `<paper>/<table>`.

    Attributes:
        margin: of claims that have none.
        least_over_chance: how many times chance the accuracy of a network must be before claims about it are judged.
        figure: the picture of the first seed's runs: `sheets`, one a network with its attention, or `comparison`, of
            all networks side by side; none if empty.
        shows: columns that are shown besides those of the default, by their names for `--columns`.
    """

    name: str
    title: str
    source: str
    columns: Mapping[str, Column]
    rows: Mapping[str, Row]
    overrides: tuple[str, ...] = ()
    baseline: str = ""
    claims: tuple[Claim, ...] = ()
    margin: float | None = None
    least_over_chance: float = LEAST_OVER_CHANCE
    profiles: Mapping[str, ProfileChanges] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    x_label: str = ""
    row_label: str = "network"
    selection: str = ""
    not_runnable: str = ""
    figure: Picture = ""
    shows: tuple[str, ...] = ()

    def baseline_of(self, row: str) -> str:
        """Return the row that a row's difference refers to; empty if there is none, or if it is the row itself."""
        baseline = self.baseline
        if baseline == BY_SECTION:
            baseline = next(key for key, other in self.rows.items() if other.section == self.rows[row].section)
        return "" if baseline == row else baseline

    def name_of(self, row: str) -> str:
        """Return a row's label, preceded by its section where several rows of the table have the same label."""
        label, section = self.rows[row].label, self.rows[row].section
        labels_differ = len({other.label for other in self.rows.values()}) == len(self.rows)
        return label if labels_differ or label.startswith(section) else f"{section} {label}"


UNIT_PREFIXES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


def parse_number(text: str) -> float:
    """Return the value of a printed number: "24.07M" -> 24_070_000.

    Raises:
        ValueError: the text is not a number.
    """
    digits, prefix = split_prefix(text)
    return float(digits) * UNIT_PREFIXES[prefix]


def last_place(text: str) -> float:
    """Return the value of one unit in a printed number's last place: "24.07M" -> 10_000."""
    digits, prefix = split_prefix(text)
    return float(UNIT_PREFIXES[prefix] * 10.0 ** -decimals(digits))


def split_prefix(text: str) -> tuple[str, str]:
    """Split a printed number into its digits and its unit prefix: "24.07M" -> ("24.07", "M")."""
    prefix = text[-1:] if text[-1:] in UNIT_PREFIXES else ""
    return text.removesuffix(prefix), prefix


def decimals(digits: str) -> int:
    """Return how many digits follow the decimal point."""
    return len(digits.partition(".")[2])
