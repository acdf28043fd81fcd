"""Sweeps expand to the runs that their author means."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from attnbench.config import search_path
from attnbench.config.compose import Composer, compose
from attnbench.config.sweep import expand, is_sweep
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError

compose_before = Composer.compose


def pairs(*overrides: str) -> list[tuple[str, object, int]]:
    configs = expand(overrides).configs
    return [(c.choices["attention"], c["attention"].get("reduction"), c["seed"]) for c in configs]


def test_a_key_that_a_choice_lacks_is_dropped_for_that_choice() -> None:
    found = pairs("attention=none,bam", "attention.reduction=8,16", "seed=0,1")
    assert found == [
        ("none", None, 0),
        ("none", None, 1),
        ("bam", 8, 0),
        ("bam", 8, 1),
        ("bam", 16, 0),
        ("bam", 16, 1),
    ]


def test_one_line_says_which_keys_were_dropped() -> None:
    sweep = expand(["attention=none,bam", "attention.reduction=8,16", "seed=0,1"])
    assert sweep.note() == ("8 combinations are 6 different runs: attention.reduction does not apply to attention=none")
    assert expand(["seed=0,1"]).note() is None


def test_a_fixed_key_is_treated_like_a_swept_one() -> None:
    assert pairs("attention=none,bam", "attention.reduction=8") == [("none", None, 0), ("bam", 8, 0)]


def test_equal_runs_are_done_once() -> None:
    assert len(expand(["seed=0,0,1"]).configs) == 2
    same = expand(["backbone=wrn10_1,wrn", "backbone.depth=10", "backbone.width=1"])
    assert (same.combinations, len(same.configs)) == (2, 1)


def test_ranges_globs_and_names_that_hold_values_are_expanded() -> None:
    assert [seed for *_, seed in pairs("seed=range(3)")] == [0, 1, 2]
    every = search_path.choices("attention", search_path.search_path())
    assert {name for name, *_ in pairs("attention=glob(*)")} == {*every}
    depths = [config["backbone"]["depth"] for config in expand(["backbone=wrn10_1,wrn16_2"]).configs]
    assert depths == [10, 16]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["attention=none,bam", "attention.reductoin=8,16"], "attention=bam has no such key; did you mean reduction?"),
        (["recipe.lrr=0.1,1"], "did you mean lr?"),
        (["attention=none,bamm"], "did you mean bam?"),
        (["seed=0,x"], "seed=x: must be a whole number"),
        (["seed=interval(0,3)"], "an interval has no list of values"),
        (["seed=range(0)"], "seed=range(0): holds no value"),
        (["attention=none,bam", "seed=range(5,2)"], "seed=range(5,2): holds no value"),
        (["attention=glob(x*)"], "matches no choice"),
        (["attention=none,bam", "attention.reduction=8", "sweep.strict=true"], "sweep.strict=true"),
    ],
)
def test_a_mistake_stops_a_sweep_before_it_starts(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        expand(overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize("more", [[], ["attention=bam"], ["output=runs_${seed}"], ["sweep.jobs=${seed}"]])
def test_configurations_of_many_seeds_are_those_that_single_overrides_compose(more: list[str]) -> None:
    found = expand(["seed=range(5)", *more]).configs
    assert found == [compose([f"seed={seed}", *more]) for seed in range(5)]


def test_a_configuration_is_composed_for_two_seeds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[object] = []

    def compose_counted(self: Composer, overrides: Sequence[str]) -> RunConfig:
        composed.append(overrides)
        return compose_before(self, overrides)

    monkeypatch.setattr(Composer, "compose", compose_counted)
    assert len(pairs("attention=none,bam", "seed=range(50)")) == 100
    assert len(composed) == 4


@pytest.mark.parametrize("seed", ["-1", "1.5", "abc"])
def test_a_wrong_seed_among_many_is_composed_and_rejected_like_one(seed: str) -> None:
    try:
        expected = [compose([f"seed={value}"])["seed"] for value in (0, 1, 2, seed)]
    except UserError as error:
        with pytest.raises(UserError, match=re.escape(str(error))):
            pairs(f"seed=0,1,2,{seed}")
    else:
        assert [found for _, _, found in pairs(f"seed=0,1,2,{seed}")] == expected


def write_sweep(folder: Path, body: str = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1,2'}}}\n") -> str:
    """Write an experiment that is a sweep itself; return the folder as `--config-dir` has it."""
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "six.yaml").write_text(f"# @package _global_\n{body}")
    return str(folder / "mine")


SIX = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1,2', attention: 'none,bam'}}}\n"


def test_a_sweep_inside_a_config_is_expanded_as_on_the_command_line(own_folder: Path) -> None:
    folder = write_sweep(own_folder, SIX)
    assert is_sweep(["experiment=six"], folder)
    assert not is_sweep(["seed=3"], folder)
    own = expand(["experiment=six"], folder)
    typed = expand(["seed=0,1,2", "attention=none,bam"])
    assert [(c.choices["attention"], c["seed"]) for c in own.configs] == [
        (c.choices["attention"], c["seed"]) for c in typed.configs
    ]
    assert len(own.configs) == 6


def test_the_command_line_replaces_a_key_of_a_configs_own_sweep(own_folder: Path) -> None:
    folder = write_sweep(own_folder, SIX)
    configs = expand(["experiment=six", "seed=7"], folder).configs
    assert [(c.choices["attention"], c["seed"]) for c in configs] == [("none", 7), ("bam", 7)]


def test_a_primary_configs_own_sweep_counts_too(own_folder: Path) -> None:
    (own_folder / "mine.yaml").write_text(f"defaults: [train, _self_]\n{SIX}")
    assert is_sweep([], str(own_folder), "mine")
    assert len(expand([], str(own_folder), "mine").configs) == 6


def test_without_the_mode_a_configs_own_values_wait_for_m(own_folder: Path) -> None:
    folder = write_sweep(own_folder, "hydra: {sweeper: {params: {seed: 'range(3)'}}}\n")
    assert not is_sweep(["experiment=six"], folder)
    assert [c["seed"] for c in expand(["experiment=six"], folder).configs] == [0, 1, 2]


def test_a_sweep_cannot_be_one_value_of_another(own_folder: Path) -> None:
    folder = write_sweep(own_folder)
    with pytest.raises(UserError, match=r"experiment=six: is a sweep itself"):
        expand(["experiment=six,resnet20_cifar10"], folder)
