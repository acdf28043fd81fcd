"""BAM's rows on CIFAR: each network has its family's recipe in the CIFAR zoo that the paper's networks match."""

import pytest

from attnbench.config.compose import Composer
from attnbench.tables.spec.cell_configs import CellConfig, compose_cells
from attnbench.tables.spec.load import load_profiles, load_table

FAMILIES = {
    # choice of backbone: recipe; epochs, milestones, factor, weight decay, images a step, dropout
    "resnet50": ("bam_cifar", (300, [150, 225], 0.1, 5e-4, 128, None)),
    "resnet101": ("bam_cifar", (300, [150, 225], 0.1, 5e-4, 128, None)),
    "resnext": ("bam_cifar", (300, [150, 225], 0.1, 5e-4, 128, None)),
    "preact_resnet164": ("bam_cifar_preresnet", (164, [81, 122], 0.1, 1e-4, 128, None)),
    "wrn": ("bam_cifar_wrn", (200, [60, 120, 160], 0.2, 5e-4, 128, 0.3)),
    "densenet_bc": ("bam_cifar_densenet", (300, [150, 225], 0.1, 1e-4, 64, None)),
}


def cells(name: str, profile: str) -> list[CellConfig]:
    """Compose the cells of a table under a profile."""
    table = load_table(name)
    return list(compose_cells(table, load_profiles(table)[profile], (), Composer()).values())


def settings(cell: CellConfig) -> tuple[str, tuple[object, ...]]:
    """Return a cell's recipe and what the zoo says of it, as in `FAMILIES`."""
    assert cell.config is not None
    recipe, dropout = cell.config["recipe"], cell.config["backbone"].get("dropout")
    values = [recipe[key] for key in ("epochs", "milestones", "gamma", "weight_decay")]
    return cell.config.choices["recipe"], (*values, cell.config["data"]["batch_size"], dropout)


@pytest.mark.parametrize("name", ["bam/1a", "bam/1b", "bam/1c", "bam/2", "bam/3a", "bam/5"])
def test_each_network_has_its_familys_recipe(name: str) -> None:
    for cell in cells(name, "paper"):
        assert cell.config is not None
        assert settings(cell) == FAMILIES[cell.config.choices["backbone"]], cell.row.key
        recipe = cell.config["recipe"]
        assert (recipe["optimizer"], recipe["lr"], recipe["momentum"], recipe["nesterov"]) == ("sgd", 0.1, 0.9, False)


def test_quick_runs_have_neither_a_familys_recipe_nor_its_dropout() -> None:
    for cell in cells("bam/3a", "quick"):
        recipe, values = settings(cell)
        assert (recipe, values[0]) == ("one_cycle", 6)
        assert values[-1] in (None, 0.0), cell.row.key
