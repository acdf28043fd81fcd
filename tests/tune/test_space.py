"""Search spaces: what their files may say, and what a trial gets from them."""

from pathlib import Path

import pytest

from attnbench.config.compose import Composer
from attnbench.config.search_path import choices, search_path
from attnbench.config.sweep import expand
from attnbench.errors import UserError
from attnbench.tune.space import Dimension, load_space
from attnbench.tune.tuning import make_methods, shared_first
from tests.conftest import TINY

optuna = pytest.importorskip("optuna")


def space_of(text: str) -> list[Dimension]:
    """Read a space from a user's folder."""
    Path("mine/search").mkdir(parents=True, exist_ok=True)
    Path("mine/search/own.yaml").write_text(text)
    return load_space("own", search_path("mine"))


def test_a_space_has_four_kinds_of_dimensions() -> None:
    space = space_of(
        "recipe.lr: {log: [1e-3, 1]}\nrecipe.momentum: {float: [0.5, 0.9]}\n"
        "recipe.epochs: {int: [1, 3]}\nrecipe: {choice: [adamw, one_cycle]}\n"
    )
    fixed = optuna.trial.FixedTrial(
        {"recipe.lr": 0.0123456, "recipe.momentum": 2 / 3, "recipe.epochs": 2, "recipe": "adamw"}
    )
    assert [dimension.suggest(fixed) for dimension in space] == [
        "recipe.lr=0.01235", "recipe.momentum=0.6667", "recipe.epochs=2", 'recipe="adamw"',
    ]  # fmt: skip
    assert list(map(str, space)) == [
        "recipe.lr from 0.001 to 1 (log)",
        "recipe.momentum from 0.5 to 0.9",
        "recipe.epochs from 1 to 3",
        "recipe one of adamw, one_cycle",
    ]
    assert space[0].corners() == ["recipe.lr=0.001", "recipe.lr=1"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("recipe.lr: 1.0", "must be one of log, float, int, choice"),
        ("recipe.lr: {uniform: [0, 1]}", "must be one of log, float, int, choice"),
        ("recipe.lr: {log: [0, 1]}", "numbers above 0"),
        ("recipe.lr: {float: [1, 0.5]}", "the first number must be below the second"),
        ("recipe.lr: {float: [1]}", "needs two numbers"),
        ("recipe.epochs: {int: [1.5, 3]}", "needs two whole numbers"),
        ("recipe.betas: {choice: [[0.9, 0.99]]}", "choices must be numbers, words"),
        ("seed: {int: [0, 9]}", "only options of recipe, attention, backbone"),
        ("data.validation: {int: [1, 9]}", "only options of recipe, attention, backbone"),
        ("{}", "must hold lines"),
        ("- recipe.lr", "own.yaml: must be a mapping of keys to values; it is a list"),
        ("3", "own.yaml: must be a mapping of keys to values; it is the value 3"),
        ("recipe.lr: {log: [", "YAML"),
    ],
)
def test_a_wrong_space_is_one_line(text: str, reason: str) -> None:
    with pytest.raises(UserError) as caught:
        space_of(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dimension_is_left_out_for_methods_that_lack_it() -> None:
    space = space_of("attention.lambda: {log: [0.1, 1]}\nrecipe.lr: {log: [0.1, 1]}\n")
    sweep = expand([*TINY, "attention=none,ggam"])
    methods = make_methods(space, sweep, Composer())
    assert [method.name for method in methods] == ["none", "ggam"]
    assert [[dimension.key for dimension in method.space] for method in methods] == [
        ["recipe.lr"],
        ["recipe.lr", "attention.lambda"],
    ]
    assert shared_first(space, sweep.configs[1:]) == space  # alone, it is shared by all


@pytest.mark.parametrize(
    ("text", "words", "reason"),
    [
        ("recipe.learning_rate: {log: [0.1, 1]}", [], "recipe=one_cycle has no such key"),
        ("attention.lambda: {log: [0.1, 1]}", [], "attention=none has no such key"),
        ("attention.lambda: {log: [0.1, 1]}", ["attention=none,ggam"], "none: has none of the options"),
        ("recipe.momentum: {float: [0.5, 1.0]}", [], "recipe.momentum=1.0: must be in [0, 1)"),
        ("recipe.lr: {log: [0.1, 1]}", ["data.validation=0"], "tuning needs validation images"),
    ],
)
def test_methods_are_checked_before_anything_runs(text: str, words: list[str], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        make_methods(space_of(text), expand([*TINY, *words]), Composer())
    assert reason in str(caught.value)


def test_shipped_spaces_can_be_read() -> None:
    for name in choices("search", search_path()):
        assert load_space(name, search_path())
