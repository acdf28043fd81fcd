"""Names of runs beside each other: by what they differ in, as their folders' names are all alike."""

from collections.abc import Iterable

from attnbench.config.as_recorded import read_back
from attnbench.config.compose import Composer
from attnbench.config.diff import differences, label
from attnbench.runs.record import RunRecord


def names_by_difference(records: Iterable[RunRecord], composer: Composer) -> dict[str, str]:
    """Return a name for each identity: `ggam lambda=1`; empty where nothing tells its runs from the others."""
    configs = {record.identity: read_back(composer, record.choices, record.config) for record in records}
    return dict(zip(configs, map(label, differences(list(configs.values()))), strict=True))
