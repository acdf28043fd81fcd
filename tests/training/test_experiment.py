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
