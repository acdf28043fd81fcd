"""Reports of papers' tables with made-up runs: three seeds in every cell, as wide as results become."""

from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.values import Result
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.load import load_profiles, load_table
from attnbench.tables.spec.table import COSTS, PaperTable, Row, parse_number
from tests.runs.samples import make_finished

SEEDS = range(3)


def result(table: PaperTable, row: Row, column: str, spread: float = 1.37) -> Result:
    """Return a cell in which the rows are far apart; empty if the row cannot be run."""
    cell = CellConfig(row, table.columns[column], None, reason=row.not_runnable)
    if row.not_runnable:
        return Result(cell, {}, {"last": {}, "best": {}}, dict.fromkeys(("last", "best"), row.not_runnable))
    place = list(table.rows).index(row.key)
    records = {seed: make_finished(seed=seed, identity=f"{place:010d}") for seed in SEEDS}
    last = {seed: 10 + 2.5 * place + spread * (1 + place / 9) * (seed - 1) for seed in SEEDS}
    best = {seed: value - 0.1 for seed, value in last.items()}
    return Result(cell, records, {"last": last, "best": best}, {"last": "", "best": ""})


def cost(row: Row, key: str) -> CostComparison:
    printed = row.printed.get(key)
    return CostComparison(int(parse_number(printed)) if printed else 23_712_932, printed)


def inputs_of(name: str, profile: str = "paper", has_runs: bool = True) -> ReportInputs:
    table = load_table(name)
    results = {(row.key, column): result(table, row, column) for row in table.rows.values() for column in table.columns}
    if not has_runs:
        nothing: dict[int, float] = {}
        empty = {"last": nothing, "best": nothing}
        results = {key: Result(found.cell, {}, empty, found.reasons) for key, found in results.items()}  # type: ignore[arg-type]
    costs = {row.key: {key: cost(row, key) for key in COSTS} for row in table.rows.values()}
    return ReportInputs(table, load_profiles(table)[profile], results, costs)
