"""The configuration of each cell: the order of overrides, smaller networks, and dropped settings."""

import pytest

from attnbench.config.compose import Composer
from attnbench.errors import UserError
from attnbench.tables.spec.cell_configs import CellConfig, compose_cells, with_seed
from attnbench.tables.spec.load import load_profiles, load_table
from tests.tables.lab import PROFILES, TABLE, write_table


def cells(profile: str = "paper", *extra: str, table: str = TABLE, profiles: str = PROFILES) -> dict[str, CellConfig]:
    """The cells of the tiny table by row."""
    folder = str(write_table(table, profiles))
    loaded = load_table("lab/tiny", folder)
    made = compose_cells(loaded, load_profiles(loaded, folder)[profile], extra, Composer(folder))
    return {row: cell for (row, _), cell in made.items()}


def value(cell: CellConfig, group: str, key: str) -> object:
    assert cell.config is not None
    return cell.config[group][key]


def test_a_cell_is_composed_of_table_and_row() -> None:
    found = cells()
    assert value(found["plain"], "recipe", "epochs") == 2
    assert value(found["se"], "attention", "reduction") == 2
    assert value(found["se"], "backbone", "width") == 4


def test_a_row_that_cannot_be_run_has_the_reason() -> None:
    lost = cells()["lost"]
    assert (lost.config, lost.reason) == (None, "nobody knows how")


def test_a_backbone_that_a_profile_leaves_out_has_the_reason() -> None:
    profiles = PROFILES + "  left_out: {wrn10_1: it does not learn here}\n"
    wide = TABLE.replace("backbone.width=4, ", "").replace("[attention=none]", "[attention=none, backbone=wrn10_1]")
    found = cells("quick", table=wide, profiles=profiles)
    assert (found["plain"].config, found["plain"].reason) == (None, "it does not learn here")
    assert found["se"].config is not None
    assert cells("paper", table=wide, profiles=profiles)["plain"].config is not None


def test_later_overrides_replace_earlier_ones() -> None:
    column = TABLE.replace("metric: top1_error", "metric: top1_error, overrides: [recipe.epochs=3]")
    assert value(cells(table=column)["plain"], "recipe", "epochs") == 3
    assert value(cells("quick", table=column)["plain"], "recipe", "epochs") == 1
    assert value(cells("quick", "recipe.epochs=5", table=column)["plain"], "recipe", "epochs") == 5


def test_a_smaller_network_keeps_the_settings_that_it_has() -> None:
    found = cells("quick")["se"]
    assert value(found, "backbone", "depth") == 8
    assert value(found, "backbone", "width") == 4
    assert found.dropped == ()


def test_settings_that_another_choice_does_not_have_are_dropped() -> None:
    wide = TABLE.replace("data.validation=200", "data.validation=200, data.label_noise=0.1, backbone.block=basic")
    found = cells("paper", "backbone=wrn10_1", "data=mnist", table=wide)["plain"]
    assert found.config is not None
    assert found.config.choices["backbone"] == "wrn"
    assert found.dropped == ("backbone.width", "backbone.block") or set(found.dropped) == {"backbone.block"}
    assert value(found, "data", "label_noise") == 0.1
    assert value(found, "data", "validation") == 200


def test_another_recipe_drops_all_settings_of_the_first() -> None:
    found = cells("paper", "recipe=adamw")["plain"]
    assert "recipe.epochs" in found.dropped
    assert value(found, "recipe", "optimizer") == "adamw"


def test_a_typed_option_applies_to_the_rows_that_have_it() -> None:
    found = cells("paper", "attention.reduction=8")
    assert value(found["se"], "attention", "reduction") == 8
    assert found["plain"].dropped == ("attention.reduction",)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("attention.reducton=8", "attention.reducton: no row of lab/tiny has such a key"),
        ("recipe.epoch=8", "did you mean epochs"),
        ("recipe.epochs=many", "recipe.epochs=many"),
        ("data=digit", "did you mean digits"),
    ],
)
def test_a_mistake_is_an_error_with_a_hint(extra: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cells("paper", extra)


def test_a_backbone_without_a_smaller_network_is_an_error() -> None:
    with pytest.raises(UserError, match="profile quick: no smaller network replaces backbone=resnet56"):
        cells("quick", table=TABLE.replace("data=digits", "data=digits, backbone=resnet56"))


def test_another_seed_changes_nothing_else() -> None:
    config = cells()["plain"].config
    assert config is not None
    other = with_seed(config, 3)
    assert (other["seed"], config["seed"]) == (3, 0)
    assert other.identity == config.identity
