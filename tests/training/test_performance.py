"""Layout and threads by measurement: what is tried, what is remembered, and that results stay."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.training import performance
from attnbench.training.distributed import World
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import resolve
from attnbench.training.plan import plan
from attnbench.training.speed_probe import Probe
from attnbench.training.train import train
from tests.training.test_train import weights

Tiny = Callable[..., RunConfig]
AUTO = ("trainer.performance=auto", "trainer.accelerator=cpu")
FIRST_LAYOUT = {"channels_last": False, "threads": 1, "compile": False}


@pytest.fixture(autouse=True)
def own_cache(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))


@pytest.fixture
def fast_layout(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make channels first the fastest, and count the measurements."""
    measured: list[int] = []

    def measure(experiment: Experiment, options: list[performance.Choices]) -> list[float]:
        measured.append(len(options))
        return [1.0 + choices["channels_last"] for choices in options]

    monkeypatch.setattr(performance, "measure", measure)
    return measured


def test_only_what_is_left_open_is_tried(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attnbench.training.hardware.free_threads", lambda: 4)

    def tried(*words: str) -> list[tuple[bool, int]]:
        found = performance.candidates(Experiment(tiny(*AUTO, "trainer.compile=auto", *words)))
        assert not any(one["compile"] for one in found)  # not on a CPU
        return [(one["channels_last"], one["threads"]) for one in found]

    wide = "backbone.width=16"
    assert tried(wide, "trainer.threads=auto") == [(True, 4), (True, 1), (False, 4), (False, 1)]
    assert tried(wide, "trainer.threads=3") == [(True, 3), (False, 3)]
    assert tried(wide, "trainer.channels_last=false", "trainer.threads=auto") == [(False, 4), (False, 1)]
    assert tried("backbone.shortcut=projection", "trainer.threads=1") == [(False, 1)]  # channels_last would break


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr("attnbench.training.hardware.choose_accelerator", lambda wanted: "gpu")
    monkeypatch.setattr("attnbench.training.hardware.device_name", lambda accelerator: "a GPU")
    monkeypatch.setattr("attnbench.training.hardware.gains_from_bf16", lambda accelerator: True)


@pytest.mark.usefixtures("as_on_a_gpu")
def test_on_a_gpu_compiled_networks_are_tried_where_that_is_left_open(tiny: Tiny) -> None:
    words = ("trainer.performance=auto", "trainer.channels_last=true", "trainer.threads=1")

    def tried(*more: str) -> list[bool | str]:
        experiment = Experiment(tiny(*words, "trainer.accelerator=auto", *more))
        return [one["compile"] for one in performance.candidates(experiment)]

    assert tried("trainer.compile=auto") == [False, True, "graphs"]
    assert tried("trainer.compile=auto", "recipe.accumulate=2") == [False, True]
    assert [tried(f"trainer.compile={word}") for word in ("false", "true", "graphs")] == [[False], [True], ["graphs"]]


@pytest.mark.usefixtures("as_on_a_gpu")
def test_graphs_are_refused_where_gradients_wait_for_the_next_batch(tiny: Tiny) -> None:
    words = ("trainer.accelerator=auto", "recipe.accumulate=2")
    with pytest.raises(UserError, match=r"^trainer\.compile=graphs: cannot be used with recipe\.accumulate=2: .*$"):
        plan(tiny(*words, "trainer.compile=graphs"))
    assert plan(tiny(*words, "trainer.compile=true"))
    assert plan(tiny("trainer.accelerator=auto", "trainer.compile=graphs"))


@pytest.mark.usefixtures("as_on_a_gpu")
def test_compiling_is_measured_on_a_gpu_without_the_layout(tiny: Tiny) -> None:
    experiment = Experiment(tiny("trainer.accelerator=auto", "trainer.compile=auto"))
    assert [tuple(one.values()) for one in performance.candidates(experiment)] == [
        (True, 1, False), (True, 1, True), (True, 1, "graphs"),
    ]  # fmt: skip


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(("word", "count", "compiles"), [("false", 2, False), ("auto", 6, True)])
def test_what_takes_minutes_is_said_before(
    tiny: Tiny, fast_layout: list[int], caplog: pytest.LogCaptureFixture, word: str, count: int, compiles: bool
) -> None:
    words = ("backbone.width=16", "trainer.accelerator=auto", "trainer.performance=auto", f"trainer.compile={word}")
    with caplog.at_level("INFO"):
        performance.choices_of(Experiment(tiny(*words)), World())
    assert f"measuring {count} ways to compute a step" in caplog.messages[0]
    assert ("which compile first, in minutes" in caplog.messages[0]) == compiles
    assert fast_layout == [count]


def test_an_auto_without_effect_is_said(tiny: Tiny, fast_layout: list[int], caplog: pytest.LogCaptureFixture) -> None:
    def said(world: World, *words: str) -> list[str]:
        caplog.clear()
        performance.choices_of(Experiment(tiny("backbone.width=16", "trainer.accelerator=cpu", *words)), world)
        return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    alone, first, second = World(), World(0, 2), World(1, 2)
    assert said(alone, "trainer.compile=auto") == [
        "trainer.compile=auto: compiles nothing without a GPU; trainer.compile=true does"
    ]
    assert said(first, "trainer.performance=auto", "trainer.compile=auto") == [
        "trainer.performance=auto trainer.compile=auto: without effect on several devices: they measure nothing"
    ]
    assert said(second, "trainer.performance=auto") == []
    assert said(alone) == said(first) == said(alone, "trainer.performance=auto") == []
    assert fast_layout == [2]  # measured once, in the last of these


def test_a_run_says_that_its_auto_is_without_effect(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    job = plan(tiny("trainer.compile=auto", "trainer.accelerator=cpu", "recipe.epochs=1", "logger=none"))
    record = train(job)
    assert record is not None
    assert record.resolved.compile is False
    assert "trainer.compile=auto: compiles nothing without a GPU" in caplog.text


def test_without_measuring_auto_compiles_nothing_and_a_recorded_choice_is_kept(tiny: Tiny) -> None:
    experiment = Experiment(tiny("trainer.compile=auto"))
    assert resolve(experiment.options, experiment.blueprint).compile is False
    recorded = {"compile": True}
    assert resolve(experiment.options, experiment.blueprint, recorded).compile is True
    asked = Experiment(tiny("trainer.compile=false"))
    assert resolve(asked.options, asked.blueprint, recorded).compile is False


@pytest.mark.slow
def test_a_compiled_probe_takes_the_same_step(tiny: Tiny) -> None:
    experiment = Experiment(tiny("trainer.precision=fp32", "recipe.lr=0.01"))
    stepped = []
    for compiled in (False, True):
        torch.manual_seed(0)
        probe = Probe(experiment, 8, compiled)
        assert probe.hardware.compile is compiled
        probe.step()
        stepped.append(probe.net.state_dict())
    eager, found = stepped
    for name, value in eager.items():
        assert torch.allclose(found[name], value, rtol=1e-3, atol=1e-4), name


def test_a_choice_is_remembered_for_its_network_and_batch(tiny: Tiny, fast_layout: list[int]) -> None:
    words = (*AUTO, "backbone.width=16")
    for seed in (0, 1):
        assert performance.measured_choices(Experiment(tiny(*words, f"seed={seed}"))) == FIRST_LAYOUT
    assert fast_layout == [2]
    performance.measured_choices(Experiment(tiny(*words, "data.batch_size=16")))
    performance.measured_choices(Experiment(tiny(*words, "attention=bam")))
    assert fast_layout == [2, 2, 2]
    for path in Path("cache/performance").iterdir():
        assert json.loads(path.read_text()) == FIRST_LAYOUT
        path.write_text("{")
    assert performance.measured_choices(Experiment(tiny(*words))) == FIRST_LAYOUT
    assert fast_layout == [2, 2, 2, 2]


def test_steps_are_measured_with_each_candidate(tiny: Tiny) -> None:
    experiment = Experiment(tiny(*AUTO, "backbone.width=16", "data.batch_size=16"))
    options = performance.candidates(experiment)
    seconds = performance.measure(experiment, options)
    assert len(seconds) == len(options) == 2
    assert min(seconds) > 0


def test_the_choice_is_recorded_and_changes_a_result_by_rounding_alone(tiny: Tiny, fast_layout: list[int]) -> None:
    """In single precision, over three steps, after which ReLU has made rounding large; identities are the same."""
    few = ("data.batch_size=512", "recipe.epochs=1", "recipe.lr=0.01")
    words = (*few, "backbone.width=16", "trainer.precision=fp32", "logger=none")
    chosen, usual = plan(tiny(*words, *AUTO, "output=chosen")), plan(tiny(*words, "output=usual"))
    records = [train(job) for job in (chosen, usual)]
    assert [record and record.resolved.channels_last for record in records] == [False, True]
    assert chosen.identity == plan(tiny(*words, "trainer.accelerator=cpu", "output=usual")).identity
    found, expected = weights(chosen), weights(usual)
    for name, value in expected.items():
        assert torch.allclose(found[name], value, rtol=1e-3, atol=1e-4), name
