"""The configuration of a run whose package is not at hand, or that is of another version: as it was recorded."""

from typing import Any

import pytest

from attnbench.config.as_recorded import read_back
from attnbench.config.compose import Composer, compose
from attnbench.config.diff import differences, label
from attnbench.config.validate import RunConfig

GATED = compose(["attention=gated", "attention.width=2", "backbone=cluttered_mnist_cnn", "output=there"])


def elsewhere(**attention: Any) -> RunConfig:
    values = {**GATED.values, "attention": {"_target_": "away.Gate", "lambda": 1.0, **attention}}
    return read_back(Composer(), {**GATED.choices, "attention": "away"}, values)


def test_a_run_that_is_known_is_read_as_ever() -> None:
    config = read_back(Composer(), GATED.choices, GATED.values)
    assert config.identity == GATED.identity


def test_a_choice_that_is_not_there_keeps_its_values() -> None:
    config = elsewhere()
    assert config["attention"] == {"_target_": "away.Gate", "lambda": 1.0}
    assert config.choices["attention"] == "away"
    assert config.identity["attention.lambda"] == 1.0
    assert "seed" not in config.identity  # declared not to count, as in any configuration
    shared = {key: value for key, value in GATED.identity.items() if not key.startswith("attention")}
    assert {key: config.identity[key] for key in shared} == shared


@pytest.mark.parametrize(
    "changes", [{"_revision_": 7}, {"glow": 3}, {"width": "many"}, {"width": {"of": [1]}}, {"_target_": "os.abort"}]
)
def test_a_run_of_another_version_is_read_too(changes: dict[str, Any]) -> None:
    values = {**GATED.values, "attention": {**GATED["attention"], **changes}}
    assert read_back(Composer(), GATED.choices, values)["attention"] == values["attention"]


def test_runs_are_named_by_what_they_differ_in() -> None:
    configs = [GATED, elsewhere(), elsewhere(**{"lambda": 3.0})]
    assert list(map(label, differences(configs))) == ["gated", "away lambda=1", "away lambda=3"]
