"""Columns that a profile trains on one data set are shown once, with one claim in place of equal ones."""

import pytest

from attnbench.config.compose import Composer
from attnbench.tables.spec.cell_configs import compose_cells
from attnbench.tables.spec.load import load_profiles, load_table
from attnbench.tables.spec.repeated_columns import merge_columns
from attnbench.tables.spec.table import PaperTable
from tests.tables.lab import PROFILES, TABLE, write_table

TWO = """\
columns:
  ten: {label: ten, metric: top1_error, overrides: [data.train_images=1000]}
  more: {label: more, metric: top1_error, overrides: [data.train_images=1100]}
  rise: {label: rise, metric: error_increase, relative_to: more, evaluate: [data.distractors=9]}
  fall: {label: fall, metric: error_increase, relative_to: ten, evaluate: [data.distractors=9]}
"""
CLAIMS = """\
claims:
  - {says: SE helps, pairs: [[se, plain]], column: ten}
  - {says: SE helps, pairs: [[se, plain]], column: more}
  - {says: SE helps here, contrasts: [{se@ten: 1, se: 1, plain@ten: -2}], column: more}
notes:"""
SAME = "overrides: [recipe.epochs=1, data.train_images=1000]"


def merged(profiles: str) -> PaperTable:
    first = "columns:\n  error: {label: digits, metric: top1_error}\n"
    text = TABLE.replace("data=digits", "data=cluttered_digits").replace(first, TWO).replace('error: "', 'ten: "')
    text = text.replace("unverified: [error]", "unverified: [ten]")
    text = text.replace("claims:\n  - {says: SE helps, pairs: [[se, plain]]}\nnotes:", CLAIMS)
    folder = str(write_table(text, profiles))
    table = load_table("lab/tiny", folder)
    profile = load_profiles(table, folder)["quick"]
    return merge_columns(table, compose_cells(table, profile, (), Composer(folder)))[0]


@pytest.mark.usefixtures("own_folder")
def test_columns_with_other_data_stay_as_they_are() -> None:
    table = merged(PROFILES)
    assert list(table.columns) == ["ten", "more", "rise", "fall"]
    assert len(table.claims) == 3


@pytest.mark.usefixtures("own_folder")
def test_columns_of_one_data_set_are_merged_with_what_refers_to_them() -> None:
    table = merged(PROFILES.replace("overrides: [recipe.epochs=1]", SAME))
    assert {key: column.label for key, column in table.columns.items()} == {"ten": "error", "rise": "error increase"}
    assert table.columns["rise"].relative_to == "ten"
    assert tuple(note.text for note in table.notes[-2:]) == (
        "One column stands for ten and more: here they are the same runs.",
        "One column stands for rise and fall: here they are the same runs.",
    )


@pytest.mark.usefixtures("own_folder")
def test_claims_of_merged_columns_are_made_once() -> None:
    table = merged(PROFILES.replace("overrides: [recipe.epochs=1]", SAME))
    first, contrast = table.claims
    assert (first.pairs, first.column) == ((("se", "plain"),), "ten")
    assert contrast.contrasts == ({"se@ten": 2.0, "plain@ten": -2.0},)
    assert {term.column for term in contrast.parts[0].terms} == {"ten"}
