"""The costs of a table's networks: as runs recorded them, or counted on the meta device, where nothing is computed."""

from attnbench.config.validate import RunConfig
from attnbench.errors import NotInstalledError
from attnbench.runs.record_parts import CostRecord
from attnbench.tables.results.costs import CostComparison
from attnbench.tables.spec.table import COSTS, Row


def compare_row(row: Row, config: RunConfig | None) -> dict[str, CostComparison]:
    """Count the network of a row's cell, and put the printed costs beside it."""
    reason = ""
    ours: dict[str, int] = {}
    try:
        ours = count_costs(config) if config else {}
    except NotInstalledError as error:
        reason = str(error)
    return {key: CostComparison(ours.get(key), row.printed.get(key), reason) for key in COSTS}


def recorded_row(row: Row, costs: CostRecord) -> dict[str, CostComparison]:
    """Put the printed costs beside those that a run of the row recorded."""
    return {key: CostComparison(getattr(costs, key), row.printed.get(key)) for key in COSTS}


def count_costs(config: RunConfig) -> dict[str, int]:
    """Count the costs of a configuration's network for one image of its data."""
    from attnbench.training.experiment import Experiment

    cost = Experiment(config).cost
    return {key: getattr(cost, key) for key in COSTS}
