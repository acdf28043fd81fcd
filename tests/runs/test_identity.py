"""Identities stay what they are: a changed one orphans every run that users have."""

import pytest

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.runs.identity import identity, readable_name

GOLDEN = {
    (): "",
}


def name(*overrides: str) -> str:
    config = compose(overrides)
    return f"{readable_name(config)}-{identity(config, build_data(config).fingerprint())}"


@pytest.mark.parametrize(("overrides", "expected"), GOLDEN.items(), ids=lambda value: " ".join(value))
def test_golden(overrides: tuple[str, ...], expected: str) -> None:
    assert name(*overrides) == expected


def test_what_makes_another_run() -> None:
    plain = name("attention=bam")
    for override in ("attention.reduction=8", "recipe.lr=0.1", "data.validation=0", "trainer.precision=fp32"):
        assert name("attention=bam", override) != plain


def test_what_does_not() -> None:
    for override in ("seed=1", "attention.reduction=16.0", "trainer.block_length=3", "output=x", "logger=none"):
        assert name("attention=bam", override) == name("attention=bam")


def test_an_experiment_is_what_it_stands_for() -> None:
    spelled = ("backbone=resnet20", "attention=none", "data=cifar10", "recipe=one_cycle")
    assert name("experiment=resnet20_cifar10") == name(*spelled)


def test_names_that_hold_values_are_readable() -> None:
    assert name("backbone=wrn16_4", "attention=bam").startswith("cluttered_digits-wrn16_4-bam-")


def test_a_key_added_later_is_left_out_while_it_is_neutral(tmp_path: object) -> None:
    from attnbench.config import keys
    from attnbench.config.check import identity_leaves

    declared = {"data.label_noise": keys.Key(neutral=0.0)}
    old, new = {"data.batch_size": 128}, {"data.batch_size": 128, "data.label_noise": 0.0}
    assert identity_leaves(new, declared) == old
    assert identity_leaves({**new, "data.label_noise": 0.1}, declared) != old


def test_the_data_that_lies_there_counts() -> None:
    config = compose()
    assert identity(config, "one") != identity(config, "another")
