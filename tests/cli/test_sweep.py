"""Planning sweeps: each configuration once, whatever the number of its seeds."""

from collections.abc import Callable

import pytest

from attnbench.build import on_meta
from attnbench.classifier import Network
from attnbench.cli.sweep import plan_all
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.runs.job import Job
from attnbench.training.plan import plan
from tests.conftest import TINY


def test_the_network_is_built_once_for_all_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[RunConfig] = []

    def build_counted(config: RunConfig, build: Callable[[], Network]) -> Network:
        built.append(config)
        return on_meta(config, build)

    configs = [compose([*TINY, f"recipe.epochs={epochs}", f"seed={seed}"]) for seed in range(3) for epochs in (1, 2)]
    with monkeypatch.context() as patched:
        patched.setattr("attnbench.build.on_meta", build_counted)
        jobs, mistakes = plan_all(configs)
    assert not mistakes
    assert len(built) == 2
    expected: list[Job] = [plan(config) for config in configs]
    assert jobs == expected


def test_every_seed_is_checked() -> None:
    jobs, mistakes = plan_all([compose([*TINY, f"seed={seed}"]) for seed in (0, 2**32, 1)])
    assert [job.seed for job in jobs] == [0, 1]
    assert mistakes == [f"seed={2**32}: must be from 0 to {2**32 - 1}"]
