"""Identities stay what they are: a changed one orphans every run that users have."""

import pytest

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.runs.identity import identity, readable_name

GOLDEN = {
    "": "cluttered_digits-resnet20-none-033b92cb62",
    "attention=bam": "cluttered_digits-resnet20-bam-6decbe0efa",
    "attention=bam attention.variant=official attention.reduction=8": "cluttered_digits-resnet20-bam-433ec89b03",
    "backbone=resnet50 attention=bam data=cifar100": "cifar100-resnet50-bam-51593a81d1",
    "backbone=wrn28_10 data=cifar10 recipe=gated_cifar": "cifar10-wrn28_10-none-560f65bddf",
    "experiment=resnet164_cifar10": "cifar10-preact_resnet164-none-cdf084bc51",
    "experiment=bam_resnet50_cifar100": "cifar100-resnet50-bam-312f138305",
    "data=digits recipe=adamw recipe.epochs=3": "digits-resnet20-none-0832b66002",
    "callbacks=early_stopping": "cluttered_digits-resnet20-none-0229ddf52f",
    "data=mnist": "mnist-resnet20-none-61c5ef40fc",
    "experiment=gated_cluttered_mnist": "cluttered_mnist-cluttered_mnist_cnn-gated-63be6772ad",
}


def name(*overrides: str) -> str:
    config = compose(overrides)
    return f"{readable_name(config)}-{identity(config, build_data(config).fingerprint())}"


@pytest.mark.parametrize(("overrides", "expected"), GOLDEN.items())
def test_golden(overrides: str, expected: str) -> None:
    assert name(*overrides.split()) == expected


def test_what_makes_another_run() -> None:
    plain = name("attention=bam")
    for override in (
        "attention.reduction=8", "recipe.lr=0.1", "data.validation=0", "trainer.precision=fp32",
        "data.label_noise=0.1", "recipe.backbone_lr_factor=0.1", "recipe.freeze=stem", "backbone.weights=file.pt",
    ):  # fmt: skip
        assert name("attention=bam", override) != plain
    fixed = name("data.label_noise=0.1")
    assert name("data.label_noise=0.1", "data.resampled=true") != fixed


def test_what_does_not() -> None:
    for override in (
        "seed=1", "attention.reduction=16.0", "trainer.block_length=3", "output=x", "logger=none",
        "data.label_noise=0", "data.resampled=false", "recipe.backbone_lr_factor=1", "recipe.freeze=none",
        "backbone.weights=null",
    ):  # fmt: skip
        assert name("attention=bam", override) == name("attention=bam")


def test_an_experiment_is_what_it_stands_for() -> None:
    spelled = ("backbone=resnet20", "attention=none", "data=cifar10", "recipe=one_cycle")
    assert name("experiment=resnet20_cifar10") == name(*spelled)


def test_names_that_hold_values_are_readable() -> None:
    assert name("backbone=wrn16_4", "attention=bam").startswith("cluttered_digits-wrn16_4-bam-")


def test_a_key_added_later_is_left_out_while_it_is_neutral(tmp_path: object) -> None:
    from attnbench.config import schema
    from attnbench.config.validate import identity_leaves

    declared = {"data.label_noise": schema.Key(neutral=0.0)}
    old, new = {"data.batch_size": 128}, {"data.batch_size": 128, "data.label_noise": 0.0}
    assert identity_leaves(new, declared) == old
    assert identity_leaves({**new, "data.label_noise": 0.1}, declared) != old


def test_of_weights_the_content_counts_and_not_the_path() -> None:
    one, other = compose(["backbone.weights=one.pt"]), compose(["backbone.weights=other.pt"])
    assert identity(one, "", "sha256:a") == identity(other, "", "sha256:a") != identity(one, "", "sha256:b")


def test_the_data_that_lies_there_counts() -> None:
    config = compose()
    assert identity(config, "one") != identity(config, "another")
