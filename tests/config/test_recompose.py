"""A trained run's configuration under other settings: its own values, checked like any other configuration."""

import copy
from pathlib import Path
from typing import Any

import pytest

from attnbench.config.compose import Chosen, Composer, compose
from attnbench.config.overrides import Parsed
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.errors import RunError, UserError

TRAINED = ("attention=gated", "attention.width=2", "backbone=wrn16_2", "recipe=adamw", "data.distractors=4", "seed=3")


@pytest.fixture(scope="module")
def trained() -> RunConfig:
    """The configuration of a run that differs from the defaults in every group."""
    return compose([*TRAINED, "trainer.threads=2", "output=there", "experiment=null"])


def again(trained: RunConfig, *overrides: str, without: str = "", **more: Any) -> tuple[RunConfig, dict[str, Any]]:
    """The configuration once more, as a version records it that does not know the key `without`."""
    values = copy.deepcopy(trained.values)
    if without:
        group, _, name = without.partition(".")
        del values[group][name]
    for key, value in more.items():
        values["attention"][key] = value
    return recompose(Composer(), trained.choices, values, overrides)


def refusal(trained: RunConfig, *overrides: str, **more: Any) -> str:
    with pytest.raises(UserError) as caught:
        again(trained, *overrides, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_without_overrides_the_configuration_is_the_runs_own(trained: RunConfig) -> None:
    config, settings = again(trained)
    for group in ("backbone", "attention", "data", "recipe", "trainer", "seed"):
        assert config[group] == trained[group]
    assert settings == {}
    assert {config.choices[group] for group in ("backbone", "attention", "recipe")} == {"wrn", "gated", "adamw"}


def test_overrides_apply_on_top_and_are_returned_as_settings(trained: RunConfig) -> None:
    config, settings = again(trained, "data.distractors=16.0", "attention.predict=modules", "trainer.block_length=3")
    assert settings == {"data.distractors": 16, "attention.predict": "modules"}  # a block's length changes no result
    assert config["data"] == {**trained["data"], "distractors": 16}
    assert config["trainer"]["block_length"] == 3


def test_a_value_that_the_run_has_already_is_no_setting(trained: RunConfig) -> None:
    assert again(trained, "data.distractors=4", "data=cluttered_digits")[1] == {}


def test_another_data_set_has_its_own_values(trained: RunConfig) -> None:
    config, settings = again(trained, "data=digits", "data.batch_size=7")
    assert settings == {"data": "digits", "data.batch_size": 7}
    assert config["data"] == {**compose(["data=digits"])["data"], "batch_size": 7}
    assert config["attention"] == trained["attention"]


def test_a_key_that_was_added_later_is_neutral(trained: RunConfig) -> None:
    config, settings = again(trained, without="attention.exit_modules")  # declared neutral while auto
    assert config["attention"]["exit_modules"] == "auto"
    assert settings == {}


def test_a_key_the_run_lacks_becomes_neutral_rather_than_the_default() -> None:
    from attnbench.config import schema
    from attnbench.config.recompose import lay_over

    tree = {"data": {"noise": 0.5, "size": 8}, "logger": {"noise": 1}}
    declared = {"data.noise": schema.Declaration(neutral=0.0), "logger.noise": schema.Declaration(neutral=0)}
    laid = lay_over(tree, {"data": {"size": 9}}, declared)
    assert laid == {"data": {"noise": 0.0, "size": 9}, "logger": {"noise": 1}}  # the run said nothing of loggers
    assert lay_over(tree, {"data": {"noise": 0.1}}, declared)["data"] == {"noise": 0.1, "size": 8}
    assert tree["data"] == {"noise": 0.5, "size": 8}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.distracters=1", "data=cluttered_digits has no such key; did you mean distractors?"),
        ("attention.reduction=8", "attention=gated has no such key; did you mean predict? (it has variant"),
        ("dta.distractors=1", "dta.distractors: no such key"),
        ("data=digit", "data=digit: no such choice; did you mean digits?"),
        ("data.distractors=many", "data.distractors=many: must be a whole number"),
        ("trainer.precision=fp16", "must be auto, bf16 or fp32"),
        ("attention={a: 1}", "attention.a: attention=gated has no such key"),
        ("data.distractors=1,2", "data.distractors=1,2: takes one value here"),
        ("recipe.lr=1", "recipe.lr=1: a trained run keeps its recipe; an evaluation changes data, attention, trainer"),
        ("recipe=one_cycle", "a trained run keeps its recipe"),
        ("seed=1", "seed=1: a trained run keeps its seed"),
        ("backbone=resnet20", "a trained run keeps its backbone"),
        ("backbone.width=4", "a trained run keeps its backbone"),
        ("logger=none", "a trained run keeps its logger"),
        ("experiment=resnet20_cifar10", "a trained run keeps its experiment"),
        ("hydra.job.name=x", "hydra.job.name=x: means nothing to a trained run"),
        ("attention=bam", "attention=bam: the run was trained with attention=gated; its options can change"),
        ("data.padding=4", "data.padding=4: affects only the training images"),
        ("data={flip: true}", "data.flip=true: affects only the training images"),
    ],
)
def test_a_mistake_is_one_line(override: str, message: str, trained: RunConfig) -> None:
    assert message in refusal(trained, override)


def test_a_recorded_key_that_this_version_lacks_is_named(trained: RunConfig) -> None:
    assert "attention.glow: the run was trained with attention.glow=3" in refusal(trained, glow=3)


def test_a_users_own_choice_must_be_in_the_config_folders(trained: RunConfig) -> None:
    with pytest.raises(UserError, match="attention=mine: the run's choice does not exist here; name its folder"):
        recompose(Composer(), {**trained.choices, "attention": "mine"}, trained.values, [])


def test_the_class_of_a_choice_is_looked_up_by_its_name(trained: RunConfig) -> None:
    config, settings = again(trained, _target_="attnbench.attention.where_it_was_then.Gated")
    assert config["attention"]["_target_"] == trained["attention"]["_target_"]
    assert settings == {}


def test_a_class_of_somebody_elses_in_a_record_is_rejected(trained: RunConfig) -> None:
    message = refusal(trained, _target_="stranger.Gated")
    assert message.startswith("attention._target_: the run was trained with stranger.Gated")
    assert message.endswith("if you trust that code, add --trust stranger")


@pytest.mark.parametrize(
    ("package", "accepted"), [("stranger", True), ("stranger.parts", True), ("strange", False), ("", False)]
)
def test_a_class_of_a_package_that_the_user_trusts_is_taken(package: str, accepted: bool, trained: RunConfig) -> None:
    values = {**trained.values, "attention": {**trained["attention"], "_target_": "stranger.parts.Gated"}}
    composer = Composer(trusted=[package])
    if accepted:
        config, settings = recompose(composer, trained.choices, values, [])
        assert (config["attention"]["_target_"], settings) == ("stranger.parts.Gated", {})
    else:
        with pytest.raises(RunError, match="the run was trained with stranger"):
            recompose(composer, trained.choices, values, [])


def test_a_class_that_the_users_own_configs_name_is_taken(trained: RunConfig) -> None:
    Path("mine/attention").mkdir(parents=True)
    Path("mine/attention/own.yaml").write_text("# Own\n_target_: own.Gated\n")
    values = {**trained.values, "attention": {**trained["attention"], "_target_": "own.Gated"}}
    assert recompose(Composer("mine"), trained.choices, values, [])[0]["attention"]["_target_"] == "own.Gated"
    with pytest.raises(RunError):
        recompose(Composer(), trained.choices, values, [])


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "${recipe.epochs}", "a ${oc.decode:'{}'} b", "???", "${"])
def test_recorded_texts_are_never_interpolated(text: str, trained: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "c0ffee")
    values = {**trained.values, "backbone": {**trained["backbone"], "weights": text}}
    for overrides in ([], ["data.distractors=16"], ["data.distractors=${data.batch_size}"]):
        config, _ = recompose(Composer(), trained.choices, values, overrides)
        assert config["backbone"]["weights"] == text
    assert config["data"]["distractors"] == config["data"]["batch_size"]  # the user's own are


def test_what_runs_of_a_kind_share_is_composed_once(trained: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    composer, calls = Composer(), 0

    def count(parsed: Parsed) -> Chosen:
        nonlocal calls
        calls += 1
        return Composer.chosen(composer, parsed)

    monkeypatch.setattr(composer, "chosen", count)
    for seed in range(5):
        values = {**trained.values, "seed": seed, "output": f"there/{seed}"}
        assert recompose(composer, trained.choices, values, [])[0]["seed"] == seed
    assert calls == 1


def test_a_run_of_another_revision_is_rejected(trained: RunConfig) -> None:
    assert "revision 2; this version has revision 1" in refusal(trained, _revision_=2)
    assert again(trained, _revision_=1)[1] == {}
