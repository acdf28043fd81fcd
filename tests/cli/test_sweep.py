"""Planning sweeps: each configuration once, whatever the number of its seeds."""

from collections.abc import Callable

import pytest

from attnbench.build import on_meta
from attnbench.classifier import Network
from attnbench.cli.main import main
from attnbench.cli.notes import notes_on
from attnbench.cli.sweep import plan_all
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.runs.job import Job
from attnbench.training.experiment import Experiment
from attnbench.training.plan import plan
from tests.conftest import TINY
from tests.training.test_found import finish


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


def test_what_an_automatic_stem_stands_for_is_said_once_for_runs_that_are_not_finished() -> None:
    words = [[*TINY, f"attention={name}", f"seed={seed}"] for name in ("none", "se") for seed in (0, 1)]
    configs = [compose(each) for each in (*words, [*TINY, "backbone.stem=imagenet"])]
    jobs = [Experiment(config).job for config in configs]
    assert [note.partition(" (")[0] for note in notes_on(jobs)] == ["stem=auto: cifar for images of 8 pixels"]
    for config in configs[:4]:
        finish(config)
    assert notes_on(jobs) == []
    again = [Experiment(compose([*words[0], "run.again=true"])).job]
    assert len(notes_on([*jobs, *again])) == 1


@pytest.mark.parametrize("words", [["-m", "seed=0,1"], ["launch=dry"], ["debug=one_batch"]])
def test_the_stem_is_said_once_wherever_runs_are_done(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, *words]) == 0
    said = capsys.readouterr()
    assert (said.out + said.err).count("stem=auto: cifar for images of 8 pixels") == 1
    assert ("stem=auto" in said.out) == ("launch=dry" not in words)  # commands are printed alone
