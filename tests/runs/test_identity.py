"""Identities stay what they are: a changed one orphans every run that users have."""

import copy

import pytest

from attnbench.config import schema
from attnbench.config.compose import Composer, compose
from attnbench.config.validate import RunConfig, identity_leaves
from attnbench.construct import build_data
from attnbench.runs.identity import identity, identity_today, readable_name

GOLDEN = {
    "": "cluttered_digits-resnet20-none-a37d173690",
    "attention=bam": "cluttered_digits-resnet20-bam-ea5ca6576c",
    "attention=bam attention.variant=official attention.reduction=8 attention.init=paper": (
        "cluttered_digits-resnet20-bam-3f74369482"
    ),
    "backbone=preact_resnet20 attention=residual": "cluttered_digits-preact_resnet20-residual-523e190dbb",
    "attention=residual attention.sum_norm=none": "cluttered_digits-resnet20-residual-dc3be130a4",
    "attention=ggam attention.scale=literal attention.descriptor=literal": "cluttered_digits-resnet20-ggam-15f49dd273",
    "attention=ggam attention.variant=official": "cluttered_digits-resnet20-ggam-7a02617bf7",
    "backbone=resnet50 attention=bam data=cifar100": "cifar100-resnet50-bam-0411dcb678",
    "backbone=wrn28_10 data=cifar10 recipe=gated_cifar": "cifar10-wrn28_10-none-f007e21221",
    "experiment=resnet164_cifar10": "cifar10-preact_resnet164-none-2c6c792c36",
    "experiment=bam_resnet50_cifar100": "cifar100-resnet50-bam-e95233afc6",
    "data=digits recipe=adamw recipe.epochs=3": "digits-resnet20-none-474d59fef6",
    "callbacks=early_stopping": "cluttered_digits-resnet20-none-8ae8af9220",
    "data=mnist": "mnist-resnet20-none-222128c78d",
    "experiment=gated_cluttered_mnist": "cluttered_mnist-cluttered_mnist_cnn-gated-2703bab90e",
}


def name(*overrides: str) -> str:
    config = compose(overrides)
    return f"{readable_name(config)}-{identity(config, build_data(config).fingerprint())}"


@pytest.mark.smoke
@pytest.mark.parametrize(("overrides", "expected"), GOLDEN.items())
def test_golden(overrides: str, expected: str) -> None:
    assert name(*overrides.split()) == expected


@pytest.mark.smoke
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
    declared = {"data.label_noise": schema.Declaration(neutral=0.0)}
    old, new = {"data.batch_size": 128}, {"data.batch_size": 128, "data.label_noise": 0.0}
    assert identity_leaves(new, declared, {}) == old
    assert identity_leaves({**new, "data.label_noise": 0.1}, declared, {}) != old


@pytest.mark.parametrize("group", ["backbone", "attention", "data"])
def test_a_class_of_ours_that_moved_is_the_same_run(group: str) -> None:
    config = compose(["attention=bam"])
    moved = copy.deepcopy(config.values)
    moved[group]["_target_"] = "attnbench.elsewhere.renamed.Renamed"
    assert identity_leaves(schema.flatten(moved), {}, config.choices) == identity_leaves(
        schema.flatten(config.values), {}, config.choices
    )


def test_a_callback_of_ours_that_moved_is_the_same_run() -> None:
    before, after = ({"callbacks.maps._target_": f"attnbench.{place}.MapImages"} for place in ("a", "b.c"))
    assert identity_leaves(before, {}, {}) == identity_leaves(after, {}, {})


def test_a_class_of_the_users_own_counts_as_it_is_written() -> None:
    leaves = {"attention._target_": "lab.Gated", "attention.weight": 2.0}
    assert identity_leaves(leaves, {}, {"attention": "gated_stages"}) == leaves


def test_two_choices_of_one_class_are_two_runs() -> None:
    config = compose(["attention=bam"])
    leaves = schema.flatten(config.values)
    assert identity_leaves(leaves, {}, {"attention": "bam"}) != identity_leaves(leaves, {}, {"attention": "my_bam"})


def test_a_revision_counts_from_two_on() -> None:
    plain = {"attention._target_": "attnbench.attention.bam.BAM"}
    first, second = ({**plain, "attention._revision_": number} for number in (1, 2))
    choices = {"attention": "bam"}
    assert identity_leaves(first, {}, choices) == identity_leaves(plain, {}, choices)
    assert identity_leaves(second, {}, choices) == {"attention": "bam", "attention._revision_": 2}


def test_of_weights_the_content_counts_and_not_the_path() -> None:
    one, other = compose(["backbone.weights=one.pt"]), compose(["backbone.weights=other.pt"])
    assert identity(one, "", "sha256:a") == identity(other, "", "sha256:a") != identity(one, "", "sha256:b")


def test_the_data_that_lies_there_counts() -> None:
    config = compose()
    assert identity(config, "one") != identity(config, "another")


@pytest.mark.parametrize(
    "overrides", ["attention=bam", "backbone=wrn28_10 data=cifar10 recipe=gated_cifar", "data=digits"]
)
def test_a_record_tells_its_identity_under_todays_scheme(overrides: str) -> None:
    config = compose(overrides.split())
    values = copy.deepcopy(config.values)
    values["attention"]["_target_"] = "attnbench.where.it.was.Then"
    assert identity_today(Composer(), config.choices, values, "digits") == identity(config, "digits")


def test_a_record_of_a_run_from_weights_does_not_tell_its_identity() -> None:
    config = compose(["backbone.weights=file.pt"])
    assert identity_today(Composer(), config.choices, config.values, "digits") is None


def test_a_number_that_json_lacks_has_no_identity() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        identity(RunConfig({}, {}, {"recipe.lr": float("nan")}), "data")
