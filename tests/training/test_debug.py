"""Configurations are tried out before they are trained, and nothing of it is recorded."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.training import debug
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from tests.conftest import TINY

Capture = pytest.CaptureFixture[str]


def tried(capsys: Capture, *words: str) -> tuple[int, list[str]]:
    """Exit status and printed lines; there is never a run."""
    status = main(["train", *TINY, *words])
    assert not Path("outputs/runs").exists()
    return status, capsys.readouterr().out.splitlines()


def test_a_few_images_are_learnt_by_heart_or_not(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    status, lines = tried(capsys, "debug=overfit", "backbone.width=8", "attention=gated", "recipe.lr=0.1")
    assert status == 0
    assert re.match(r"overfit: the loss of 32 images is 0\.\d+ after \d+ steps, so they are learnt", lines[-1])
    monkeypatch.setattr(debug, "OVERFIT_STEPS", 3)
    status, lines = tried(capsys, "debug=overfit")
    assert status == 1
    assert "after 3 steps; try another recipe.lr" in lines[-1]


def test_images_are_learnt_by_the_loss_and_the_steps_of_the_run(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debug, "OVERFIT_STEPS", 3)
    usual, bce, clipped = (
        re.findall(r"is still (\S+) after 3 steps", tried(capsys, "debug=overfit", *words)[1][-1])
        for words in ((), ("recipe.loss=bce",), ("recipe.clip_norm=0.01",))
    )
    assert len(usual) == len(bce) == len(clipped) == 1
    assert usual != bce
    assert usual != clipped


def test_a_batch_of_each_split_is_tried(capsys: Capture) -> None:
    status, lines = tried(capsys, "debug=one_batch", "data.batch_size=50")
    assert status == 0
    assert lines[1].startswith("  stem=auto: cifar for images of 8 pixels")
    assert lines[2].startswith("train: 50 images, loss ")
    assert [line.split(":")[0] for line in lines[2:]] == ["train", "validation", "test"]
    assert all("top-1 accuracy" in line for line in lines[3:])


def test_accumulated_batches_take_one_step(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[None] = []
    optimize = TrainingModule.optimize
    monkeypatch.setattr(TrainingModule, "optimize", lambda *args: taken.append(optimize(*args)))
    status, lines = tried(capsys, "debug=one_batch", "data.batch_size=50", "recipe.accumulate=3")
    assert status == 0
    assert lines[2].startswith("train: 150 images, loss ")
    assert len(taken) == 1


def test_a_batch_is_changed_as_the_recipe_says(capsys: Capture) -> None:
    words = ("debug=one_batch", "data.batch_size=50", "recipe.policy_operations=4", "recipe.policy_magnitude=30")
    plain, changed = (tried(capsys, *words, f"recipe.policy={policy}")[1][2] for policy in ("none", "randaugment"))
    assert plain != changed


def test_a_profile_is_a_table_and_a_trace(capsys: Capture) -> None:
    status, lines = tried(capsys, "debug=profile", "data.batch_size=1000")
    assert status == 0
    assert any("convolution" in line for line in lines)
    assert lines[-1].endswith("outputs/debug/digits-resnet20-none.trace.json")
    assert json.loads(Path("outputs/debug/digits-resnet20-none.trace.json").read_text())["traceEvents"]


def test_a_debugged_configuration_is_no_run(tiny: Callable[..., RunConfig], capsys: Capture) -> None:
    assert "debug" not in tiny().identity
    with pytest.raises(UserError, match="debug=overfit: is for attnbench train without -m"):
        plan(tiny("debug=overfit"))
    assert main(["train", "-m", *TINY, "seed=0,1", "debug=one_batch"]) == 2
    assert "it is no run" in capsys.readouterr().err
    assert main(["train", *TINY, "debug=overfitt"]) == 2
