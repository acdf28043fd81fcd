"""attnbench train, single runs and sweeps, from the outside."""

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from attnbench.cli.main import main
from attnbench.runs.folder import RunFolder, find_runs
from tests.cli.interrupt import interrupted_once, training
from tests.conftest import TINY
from tests.faults.children import Forked, Place

Capture = pytest.CaptureFixture[str]


def records(output: Path = Path("outputs")) -> list[dict[str, Any]]:
    return [json.loads(run.record_file.read_text()) for run in find_runs(output)]


@pytest.mark.smoke
def test_a_run_ends_with_its_result_and_is_found_again(capsys: Capture) -> None:
    assert main(["train", "attention=bam", "attention.reduction=2", *TINY]) == 0
    first = capsys.readouterr().out
    for part in (
        "stem=auto: cifar for images of 8 pixels",
        "epoch 2/2",
        "test top-1 accuracy",
        "parameters",
        "outputs/runs/digits-resnet20-bam-",
        "tensorboard --logdir outputs",
    ):
        assert part in first
    assert main(["train", "attention=bam", "attention.reduction=2.0", *TINY, "trainer.block_length=2"]) == 0
    second = capsys.readouterr().out
    assert "already trained" in second
    assert "epoch" not in second.split("already trained")[1].split("\n")[0]
    assert main(["list", "runs"]) == 0
    assert "finished" in capsys.readouterr().out


def test_two_at_once_do_not_train_the_same_run(own_folder: Path) -> None:
    place = Place(own_folder)
    processes = [Forked(place, ["train", *TINY, "recipe.epochs=10"]) for _ in range(2)]
    ended = [process.wait() for process in processes]
    outcomes = sorted("is being trained by process" in one.err or "already trained" in one.out for one in ended)
    assert outcomes == [False, True], ended
    assert len(records(place.work / "outputs")) == 1
    assert sorted(one.status for one in ended) in ([0, 0], [0, 1])


def test_an_interrupted_run_ends_with_130_and_is_resumed_by_the_same_command(capsys: Capture) -> None:
    words = ["train", *TINY, "recipe.epochs=400"]
    with interrupted_once(lambda: training(epochs=2)):
        assert main(words) == 130
    err = capsys.readouterr().err
    assert "the same command resumes the run" in err
    assert "Traceback" not in err
    (run,) = find_runs(Path("outputs"))
    done = len(run.rows())
    assert run.state() == "interrupted"
    with interrupted_once(lambda: training(epochs=done + 1)):
        assert main(words) == 130
    assert [row.epoch for row in run.rows()] == list(range(1, len(run.rows()) + 1))


def test_a_failing_run_ends_with_1_and_says_why(capsys: Capture) -> None:
    assert main(["train", *TINY, "recipe.lr=1e20", "recipe.warmup=0"]) == 1
    assert "a lower recipe.lr" in capsys.readouterr().err


def sweep(capsys: Capture, *words: str) -> tuple[int, str, str]:
    """Run a sweep of one-epoch runs in this process; return its status, output and errors."""
    status = main(["train", "-m", *TINY, "recipe.epochs=1", *words])
    return status, *capsys.readouterr()


def test_a_sweep_trains_what_is_missing_goes_on_after_failures_and_compares(capsys: Capture) -> None:
    status, out, err = sweep(capsys, "attention=none,bam", "attention.reduction=2", "seed=0,1")
    assert status == 0, err
    assert "attention.reduction does not apply to attention=none" in out
    assert "4 runs: 4 trained" in out
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("none", "bam"))]
    assert [(row[0], row[1]) for row in rows if len(row) > 5] == [("none", "2"), ("bam", "2")]
    trained = {run.path: run.record_file.read_text() for run in find_runs(Path("outputs"))}
    assert len(trained) == 4
    status, out, err = sweep(capsys, "seed=0,1", "recipe.lr=0.4,1e20", "recipe.warmup=0.3")  # 1e20 explodes
    assert status == 1
    assert "2 already trained, 2 diverged" in out
    assert err.count("a lower recipe.lr") >= 2
    assert "diverged: outputs/runs/" in err
    assert {path: RunFolder(path).record_file.read_text() for path in trained} == trained  # none was trained again
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("0.4", "1e+20"))]
    assert [(row[0], row[1]) for row in rows] == [("0.4", "2"), ("1e+20", "2")]


def test_a_refused_pair_stops_a_sweep_before_it_starts(capsys: Capture) -> None:
    words = ["train", "-m", "attention=bam", "attention.reduction=2,99,98", *TINY]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "attention.reduction=99: leaves none" in err
    assert "attention.reduction=98: leaves none" in err
    assert "nothing was started" in err
    assert not Path("outputs").exists()


@pytest.mark.smoke
def test_refused_pairs_can_be_left_out(capsys: Capture) -> None:
    words = ("attention=bam", "attention.reduction=2,99", "sweep.skip_invalid=true")
    status, out, err = sweep(capsys, *words)
    assert status == 0, err
    assert "left out: attention.reduction=99" in out
    assert len(records()) == 1


def test_an_interrupted_sweep_ends_with_130(capsys: Capture) -> None:
    with interrupted_once(lambda: training(count=2)):
        assert main(["train", "-m", *TINY, "seed=0,1,2", "recipe.epochs=300", "sweep.jobs=2"]) == 130
    assert "interrupted" in capsys.readouterr().out
    assert [run.state() for run in find_runs(Path("outputs"))] == ["interrupted", "interrupted"]


OWN_ATTENTION = """
import torch
from torch import nn

from attnbench.attention.base import Attention, ModuleOutput
from attnbench.errors import require


class Shrink(nn.Module):
    def __init__(self, channels, weight):
        super().__init__()
        self.weight, self.mix = weight, nn.Conv2d(channels, 1, 1)

    def forward(self, x):
        gate = torch.sigmoid(self.mix(x))
        return ModuleOutput(x * (1 - self.weight * gate), {"gate": gate})


class Own(Attention):
    def __init__(self, lambda_=0.5):
        super().__init__()
        require(0 <= lambda_ <= 1, "lambda_", lambda_, "must lie in [0, 1]")
        self.weight = lambda_

    def attach(self, backbone):
        for stage in backbone.stages:
            backbone.insert(f"{stage}.out", Shrink(backbone.points[f"{stage}.out"].channels, self.weight), "own")

    def maps(self, output):
        return {key.split("/")[0]: value for key, value in output.features.taps.items()}
"""


@pytest.fixture
def own_package(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package with an attention of thirty lines, and a folder with its YAML."""
    (own_folder / "lab").mkdir()
    (own_folder / "lab" / "own.py").write_text(OWN_ATTENTION)
    (own_folder / "mine" / "attention").mkdir(parents=True)
    yaml = "# My own attention\n_target_: lab.own.Own\nlambda: 0.5\n"
    (own_folder / "mine" / "attention" / "own.yaml").write_text(yaml)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.fspath(own_folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.syspath_prepend(own_folder)
    return own_folder


def test_a_users_own_attention_is_composed_costed_and_refused(own_package: Path, capsys: Capture) -> None:
    words = ["--config-dir", "mine", "attention=own", "backbone.width=4", "data=digits"]
    assert main(["cost", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attention_parameters"] == (4 + 1) + (8 + 1) + (16 + 1)
    assert main(["train", *words, "attention.lambda=2"]) == 2
    assert "attention.lambda=2.0: must lie in [0, 1]" in capsys.readouterr().err
    assert main(["train", *words, "attention.lamda=2"]) == 2
    assert "did you mean lambda?" in capsys.readouterr().err


def test_a_users_own_attention_is_swept(own_package: Path, capsys: Capture) -> None:
    status, out, err = sweep(capsys, "--config-dir", "mine", "attention=none,own", "attention.lambda=0,0.5")
    assert status == 0, err
    assert "3 runs: 3 trained" in out
    rows = [row for run in find_runs(Path("outputs")) for row in run.rows()]
    assert any("gates/stage1.out/mean" in row.metrics for row in rows)
    table = ["table", "outputs/runs/*", "--rows", "attention,attention.lambda", "--format", "csv"]
    assert main([*table, "--config-dir", "mine"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        "none", "own lambda=0", "own lambda=0.5"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("lab.own.Other", "attention._target_=lab.own.Other: cannot be imported"),
        ("nowhere.Own", "attention._target_=nowhere.Own: cannot be imported"),
        ("lab.own.OWN", "cannot be imported"),
    ],
)
def test_a_target_that_is_not_there(target: str, message: str, own_package: Path, capsys: Capture) -> None:
    (own_package / "mine" / "attention" / "own.yaml").write_text(f"_target_: {target}\nlambda: 0.5\n")
    assert main(["train", "--config-dir", "mine", "attention=own"]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_file_that_python_cannot_read(own_package: Path, capsys: Capture) -> None:
    (own_package / "lab" / "unfinished.py").write_text("class Own\n")
    (own_package / "mine" / "attention" / "own.yaml").write_text("_target_: lab.unfinished.Own\n")
    assert main(["train", "--config-dir", "mine", "attention=own"]) == 2
    err = capsys.readouterr().err
    assert "attention._target_=lab.unfinished.Own: cannot be imported: " in err
    assert "(unfinished.py, line 1)" in err
    assert err.count("\n") == 1


def test_an_option_that_a_target_does_not_take(own_package: Path, capsys: Capture) -> None:
    (own_package / "mine" / "attention" / "own.yaml").write_text("_target_: lab.own.Own\ndepth: 3\n")
    assert main(["train", "--config-dir", "mine", "attention=own"]) == 2
    assert "unexpected keyword argument 'depth'" in capsys.readouterr().err


@pytest.mark.parametrize("other", [pytest.param("hydra/sweeper=basic", marks=pytest.mark.slow), "hydra/launcher=basic"])
def test_hydras_other_sweepers_and_launchers_train_with_a_users_own_configs(
    other: str, own_package: Path, capsys: Capture
) -> None:
    (own_package / "mine" / "mine.yaml").write_text("defaults: [train, _self_]\nrecipe: {epochs: 1}\n")
    words = ["train", "-m", *TINY, other, "--config-dir", "mine", "--config-name", "mine", "attention=own", "seed=0,1"]
    words.remove("recipe.epochs=2")
    assert main(words) == 0
    out = capsys.readouterr().out
    assert ("2 runs: 2 trained" in out) == ("sweeper" in other)  # another sweeper uses our scheduler
    assert [record["status"] for record in records()] == ["finished"] * 2
    assert [(record["choices"]["attention"], record["epochs"]) for record in records()] == [("own", 1)] * 2


def test_parts_of_hydra_that_are_not_used_are_named(capsys: Capture) -> None:
    words = ["hydra.run.dir=x", "hydra/launcher=basic", "hydra.mode=RUN"]
    assert main(["train", *words, "data=image_folder", "data.root=nothing"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": has no effect; ")[0] for line in lines[:2]] == [
        f"attnbench: {word}" for word in words[:2]
    ]
    assert len(lines) == 3


def test_a_config_that_is_a_sweep_trains_all_of_its_runs(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "mine" / "experiment").mkdir(parents=True)
    body = "hydra: {mode: MULTIRUN, sweeper: {params: {seed: '0,1'}}}\nrecipe: {epochs: 1}\n"
    (own_folder / "mine" / "experiment" / "two.yaml").write_text(f"# @package _global_\n{body}")
    assert main(["train", "--config-dir", "mine", "experiment=two", *TINY[:2], TINY[3]]) == 0
    assert "2 runs: 2 trained" in capsys.readouterr().out
    assert [record["seed"] for record in records()] == [0, 1]


def test_optunas_sweeper_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr("attnbench.cli.hydra.find_spec", lambda name: None)
    assert main(["train", "-m", "hydra/sweeper=optuna", "seed=0,1"]) == 2
    err = capsys.readouterr().err
    assert "pip install --no-deps hydra-optuna-sweeper" in err
    assert err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(find_spec("hydra_plugins.hydra_optuna_sweeper") is None, reason="hydra-optuna-sweeper is absent")
def test_optunas_sweeper_searches_through_our_launcher(own_folder: Path) -> None:
    sweeper = ("direction=maximize", "n_trials=3", "n_jobs=2", "study_name=lr", "storage=sqlite:///study.db")
    words = ["-m", "hydra/sweeper=optuna", *(f"hydra.sweeper.{word}" for word in sweeper), "test=false"]
    assert main(["train", *TINY, *words, "recipe.lr=tag(log,interval(0.05,0.8))"]) == 0
    found = yaml.safe_load((own_folder / "optimization_results.yaml").read_text())
    by_accuracy = {record["val/best/top1_accuracy"]: record["config"]["recipe"]["lr"] for record in records()}
    assert len(records()) == 3
    assert found["best_value"] == max(by_accuracy)
    assert found["best_params"] == {"recipe.lr": by_accuracy[max(by_accuracy)]}
