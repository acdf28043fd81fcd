"""The papers' tables, file by file: every cell composes; its costs are the printed ones, or a note says why not."""

from collections.abc import Iterator
from functools import cache

import pytest

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.cost import Cost, count_parameters
from attnbench.data.bases.dataset import DataSet
from attnbench.tables.spec.cell_configs import CellConfig, compose_cells
from attnbench.tables.spec.load import load_profiles, load_table, table_files
from attnbench.tables.spec.repeated_columns import merge_columns
from attnbench.tables.spec.table import BY_SECTION, COSTS, ClaimPart, PaperTable, Profile, Row, last_place, parse_number
from attnbench.training.experiment import Experiment

TABLES = sorted(table_files())
SLOW = ("preact_resnet1001", "modules=6", "modules=4", "densenet_bc190_40")
"""In the overrides of networks that take seconds to build."""

OTHER_COSTS = {
    "bam/1a base": ["parameters"],
    "bam/1c resnet50": ["parameters"],
    "bam/1c resnet50_block": ["parameters"],
    "bam/1c wrn28_8_bam": ["parameters"],
    "bam/1c resnext29_8x64d": ["parameters"],
    "bam/2 resnet50_bam_c": ["parameters"],
    "bam/2 preresnet110_bam_c": ["parameters"],
    "bam/2 wrn28_8_bam_c": ["parameters"],
    "bam/3b mobilenet_192": ["multiply_adds"],
    "bam/3b mobilenet_192_bam": ["multiply_adds"],
    "bam/4 vgg16_ssd": ["parameters"],
    "bam/4 mobilenet_ssd": ["parameters"],
    "bam/3b squeezenet": ["multiply_adds"],
    "bam/3b squeezenet_bam": ["multiply_adds"],
    "bam/5 resnext29_16x64d_se": ["parameters"],
    "residual_attention/6 attention452": ["parameters"],
    "residual_attention/7 resnext101": ["parameters", "multiply_adds"],
    "residual_attention/7 attentionnext56": ["parameters", "multiply_adds"],
    "residual_attention/7 attentioninception56": ["parameters"],
    "residual_attention/7 attention92": ["parameters", "multiply_adds"],
}
"""Costs that differ from the printed ones by more than one unit of the last place (sums of rounded numbers may)."""


@cache
def table(name: str) -> PaperTable:
    return load_table(name)


@cache
def quick(name: str) -> Profile:
    """Load a table's profile that trains small siblings of its networks."""
    return load_profiles(table(name))["quick"]


@cache
def composer() -> Composer:
    return Composer()


def runnable() -> Iterator[tuple[str, Row]]:
    """The rows of all tables that can be run, with the table's name."""
    for name in TABLES:
        if not table(name).not_runnable:
            yield from ((name, row) for row in table(name).rows.values() if not row.not_runnable)


def cases() -> list[object]:
    """List the rows as tests; those of networks that take seconds to build are slow."""
    return [
        pytest.param(
            name,
            row.key,
            id=f"{name} {row.key}",
            marks=[pytest.mark.slow] if any(word in " ".join(row.overrides) for word in SLOW) else [],
        )
        for name, row in runnable()
    ]


@cache
def smaller(name: str) -> dict[tuple[str, str], CellConfig]:
    """Compose a table's cells with small siblings of its networks."""
    return compose_cells(table(name), quick(name), (), composer())


@cache
def composed(name: str, key: str, column: str) -> RunConfig:
    """Compose what a row runs in a column, as the table's file has it."""
    own = table(name)
    return composer().compose([*own.overrides, *own.rows[key].overrides, *own.columns[column].overrides])


PARAMETERS: dict[str, int] = {}
"""Counts by all that a network depends on: many rows of several tables are one network."""
COUNTED: dict[str, Cost] = {}
"""Costs, likewise."""


def made_of(config: RunConfig, data: DataSet) -> str:
    """Return a text of all that a network depends on."""
    return repr(
        [config["task"], config["backbone"], config["attention"], data.num_classes, data.channels, data.image_size]
    )


def parameters_of(config: RunConfig) -> int:
    """Build a network, unless one like it was built, and count its parameters."""
    experiment = Experiment(config)
    key = made_of(config, experiment.data)
    if key not in PARAMETERS:
        PARAMETERS[key] = count_parameters(experiment.blueprint)
    return PARAMETERS[key]


def cost_of(config: RunConfig) -> Cost:
    """Return the cost of a network for its data's images."""
    experiment = Experiment(config)
    key = made_of(config, experiment.data)
    if key not in COUNTED:
        COUNTED[key] = experiment.cost
    return COUNTED[key]


@pytest.mark.smoke
@pytest.mark.parametrize("name", TABLES)
def test_names_in_a_table_exist(name: str) -> None:
    own = table(name)
    assert own.source
    assert not own.baseline or own.baseline in {*own.rows, BY_SECTION}
    assert not (own.baseline and any("No row is the baseline" in note.text for note in own.notes))
    assert all(claim.source for claim in own.claims)


def printed_difference(own: PaperTable, part: ClaimPart) -> float | None:
    """Return the value of a part by the paper's numbers; None if one of them is not printed."""
    printed = [own.rows[term.row].printed.get(term.column) for term in part.terms]
    if None in printed:
        return None
    return sum(term.weight * parse_number(str(text)) for term, text in zip(part.terms, printed, strict=True))


@pytest.mark.parametrize("name", TABLES)
def test_claims_agree_with_the_printed_numbers(name: str) -> None:
    """Where nothing is printed, a claim says from which difference on it matters."""
    own = table(name)
    for claim in own.claims:
        for part in claim.parts:
            difference = printed_difference(own, part)
            if difference is None:
                assert claim.margin, claim.says
            elif part.equal:
                assert claim.margin is not None
                assert abs(difference) <= claim.margin
            else:
                lower_is_better = own.columns[part.terms[0].column].better == "lower"
                assert difference <= 0 if lower_is_better else difference >= 0, (claim.says, part)


@pytest.mark.parametrize("name", [name for name in TABLES if not table(name).not_runnable])
def test_smaller_networks_show_no_column_twice(name: str) -> None:
    """Columns that differ by the data set alone are one where a profile replaces it, and so are their claims."""
    own = table(name)
    merged, cells = merge_columns(own, smaller(name))
    shown = {(c.metric, c.split, c.stage, c.epoch, c.evaluate, c.relative_to) for c in own.columns.values()}
    assert len(merged.columns) == len(shown)
    assert {column for _, column in cells} == set(merged.columns)
    compared = [(claim.parts, claim.margin) for claim in merged.claims]
    assert all(compared.count(parts) == 1 for parts in compared)


@pytest.mark.parametrize(("name", "key"), [(name, row.key) for name, row in runnable()])
def test_cells_compose_without_dropped_settings(name: str, key: str) -> None:
    """Every key exists in the choices beside it."""
    row = table(name).rows[key]
    for column in table(name).columns.values():
        config = composed(name, key, column.key)
        tested = [*row.evaluate, *column.evaluate]
        if tested:  # these settings can be changed after training
            assert recompose(composer(), config.choices, config.values, tested)[1], column.key


@pytest.mark.parametrize(("name", "key"), cases())
def test_networks_are_built_and_cost_what_is_printed(name: str, key: str) -> None:
    row, config = table(name).rows[key], composed(name, key, next(iter(table(name).columns)))
    printed = {what: row.printed[what] for what in COSTS if what in row.printed}
    if not printed:
        assert parameters_of(config) > 0
        return
    cost = cost_of(config)
    other = [
        what
        for what, text in printed.items()
        if abs(getattr(cost, what) - parse_number(text))
        > 1.01 * last_place(text)  # BAM's totals are sums of rounded numbers
    ]
    assert other == OTHER_COSTS.get(f"{name} {key}", [])


def test_different_costs_are_explained_in_a_note() -> None:
    for place in OTHER_COSTS:
        name, key = place.split()
        assert table(name).rows[key].note.under("paper")


@pytest.mark.parametrize(("name", "key"), cases())
def test_smaller_networks_take_the_settings_of_a_row(name: str, key: str) -> None:
    cells = [cell for (row, _), cell in smaller(name).items() if row == key]
    assert cells
    for cell in cells:
        if cell.reason in quick(name).left_out.values():
            continue
        assert cell.config is not None
        assert cell.config["data"]["validation"] > 0
        assert 0 < parameters_of(cell.config) < 4e6


@pytest.mark.parametrize("name", TABLES)
def test_smaller_networks_differ_where_the_papers_do(name: str) -> None:
    own = table(name)
    named = {line for row in own.rows.values() for line in row.overrides if line.startswith("backbone=")}
    choices = {line.removeprefix("backbone=") for line in named} - set(quick(name).left_out)
    assert len({quick(name).siblings[choice] for choice in choices}) == len(choices)
