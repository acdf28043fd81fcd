"""An experiment builds each part of a run once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnbench import construct
from attnbench.config.validate import RunConfig
from attnbench.cost import count
from attnbench.errors import UserError
from attnbench.training import train as training
from attnbench.training.experiment import Experiment
from attnbench.training.plan import check, plan

Tiny = Callable[..., RunConfig]


@pytest.mark.smoke
def test_each_part_is_built_once(tiny: Tiny) -> None:
    experiment = Experiment(tiny())
    for part in ("recipe", "options", "data", "blueprint", "cost", "identity"):
        assert getattr(experiment, part) is getattr(experiment, part)
    assert {parameter.device.type for parameter in experiment.blueprint.parameters()} == {"meta"}


def test_from_plan_to_record_the_data_set_is_built_once_and_the_network_twice(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: Counter[str] = Counter()
    original = construct.construct

    def counting(group: str, node: Any, **extra: Any) -> Any:
        built[group] += 1
        return original(group, node, **extra)

    monkeypatch.setattr("attnbench.construct.construct", counting)
    experiment = check(Experiment(tiny("recipe.epochs=1")))
    training.train(experiment.job, experiment=experiment)
    assert built == {"task": 1, "data": 1, "backbone": 2, "attention": 2}  # once on the meta device, once with weights


def test_a_job_is_what_plan_returns(tiny: Tiny, own_folder: Path) -> None:
    config = tiny("seed=3")
    job = Experiment(config).job
    assert job == plan(config)
    assert job.folder.parent.parent == own_folder / "outputs" / "runs"
    assert (job.folder.name, job.identity) == ("seed3", Experiment(config).identity)


def test_costs_are_those_of_the_network_on_the_datas_images(tiny: Tiny) -> None:
    experiment = Experiment(tiny("attention=bam", "attention.reduction=2"))
    assert experiment.cost == count(experiment.build_network(), 1, 8)


def test_the_seed_decides_the_initial_weights(tiny: Tiny) -> None:
    first, again, other = (Experiment(tiny(f"seed={seed}")).build_network().state_dict() for seed in (1, 1, 2))
    assert all((first[key] == again[key]).all() for key in first)
    assert any((first[key] != other[key]).any() for key in first)


@pytest.mark.parametrize(
    ("override", "part", "message"),
    [
        ("recipe.lr=-1", "recipe", "recipe.lr=-1.0: must be positive"),
        ("trainer.devices=0", "options", "trainer.devices=0: must be at least 1"),
        ("data.batch_size=0", "data", "data.batch_size=0: must be at least 1"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_whole_key(tiny: Tiny, override: str, part: str, message: str) -> None:
    experiment = Experiment(tiny(override))
    with pytest.raises(UserError, match=message):
        getattr(experiment, part)


MONITOR = "callbacks.early_stopping.monitor"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.validation=0"], f"{MONITOR}=val/top1_accuracy: needs images that are held out"),
        ([f"{MONITOR}=val/los"], rf"{MONITOR}=val/los: is not measured \(measured: .*did you mean val/loss"),
    ],
)
def test_a_callback_does_not_wait_for_what_is_never_measured(tiny: Tiny, overrides: list[str], message: str) -> None:
    check(Experiment(tiny("callbacks=early_stopping")))
    check(Experiment(tiny("callbacks=early_stopping", f"{MONITOR}=train/loss", "data.validation=0")))
    with pytest.raises(UserError, match=message):
        check(Experiment(tiny("callbacks=early_stopping", *overrides)))


def test_each_device_has_an_image_of_every_batch(tiny: Tiny) -> None:
    check(Experiment(tiny("trainer.devices=2", "data.batch_size=2")))
    with pytest.raises(UserError, match=r"data\.batch_size=2: must be at least 3, an image for each device"):
        check(Experiment(tiny("trainer.devices=3", "data.batch_size=2")))


def test_the_rate_is_scaled_by_the_images_that_a_step_has(tiny: Tiny) -> None:
    """There are no more than those of an epoch, however large batches are said to be."""
    scaled = ("recipe.lr=0.1", "recipe.lr_batch_size=100", "data.batch_size=50")
    data = Experiment(tiny()).data
    images = data.train_images - data.validation
    for accumulate, expected in ((1, 50), (4, 200), (10**6, images)):
        lr = Experiment(tiny(*scaled, f"recipe.accumulate={accumulate}")).recipe.lr
        assert lr == pytest.approx(0.1 * expected / 100)
    assert images > 200


def test_what_is_left_open_or_has_no_effect_is_noted(tiny: Tiny) -> None:
    multi_step = ("recipe.schedule=multi_step", "recipe.epochs=20")
    assert [note.partition(":")[0] for note in Experiment(tiny()).notes] == ["stem=auto"]
    late = Experiment(tiny(*multi_step, "recipe.milestones=[150,225]", "backbone.stem=cifar")).notes
    assert [note.partition(":")[0] for note in late] == ["recipe.milestones"]
    assert Experiment(tiny(*multi_step, "recipe.milestones=[10]", "backbone.stem=cifar")).notes == []
