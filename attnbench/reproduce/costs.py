"""The costs of a table's networks, counted on the meta device: nothing is computed."""

from collections.abc import Mapping

from attnbench.config.validate import RunConfig
from attnbench.errors import NotInstalledError
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.results.values import Key
from attnbench.tables.spec.cell_configs import CellConfig
from attnbench.tables.spec.table import COSTS, PaperTable, Row
from attnbench.training.experiment import Experiment


def compare_costs(table: PaperTable, cells: Mapping[Key, CellConfig]) -> dict[str, dict[str, CostComparison]]:
    """Count the network of every row's cell in the table's first column, and put the printed costs beside it."""
    first = next(iter(table.columns))
    return {row.key: _compare_row(row, cells[row.key, first].config) for row in table.rows.values()}


def _compare_row(row: Row, config: RunConfig | None) -> dict[str, CostComparison]:
    reason = ""
    ours: dict[str, int] = {}
    try:
        ours = count_costs(config) if config else {}
    except NotInstalledError as error:
        reason = str(error)
    return {key: CostComparison(ours.get(key), row.printed.get(key), reason) for key in COSTS}


def count_costs(config: RunConfig) -> dict[str, int]:
    """Count the costs of a configuration's network for one image of its data."""
    cost = Experiment(config).cost
    return {key: getattr(cost, key) for key in COSTS}
