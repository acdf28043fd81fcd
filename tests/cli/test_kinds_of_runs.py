"""Runs of every kind are drawn while they train, then explained, exported and used for predictions."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attnbench.cli.main import main
from attnbench.runs.folder import RunFolder, find_runs
from tests.conftest import TINY
from tests.data.pictures import picture
from tests.training.test_train import FEW_IMAGES

BAM = ("attention=bam", "attention.reduction=2")
NARROW = ("backbone.width=4", "backbone.depth=8")
KINDS = {
    "frozen": (*BAM, *NARROW, "recipe.freeze=backbone"),
    "compiled": (*BAM, *NARROW, "trainer.compile=true"),
    "compiled, an attention with its own head": (
        "attention=ggam",
        "attention.reduction=2",
        *NARROW,
        "trainer.compile=true",
    ),
    "two processes": ("attention=gated", *NARROW, "trainer.devices=2", "trainer.accelerator=cpu"),
    "torchvision, frozen": (*BAM, "backbone=torchvision/mobilenet_v3_small", "recipe.freeze=stage2", "data.canvas=32"),
    "timm": ("attention=gated", "backbone=timm/resnet10t", "data.canvas=32"),
    "timm's attention": ("attention=timm/se", *NARROW),
}
QUICK = ("frozen",)
WITHOUT_MAPS = ("timm's attention",)


def trained(*words: str) -> RunFolder:
    """Train by the command line, in a process of its own: several processes need one."""
    command = [sys.executable, "-m", "attnbench", "train", *words]
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    (run,) = find_runs(Path("outputs"))
    return run


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in QUICK else pytest.mark.slow) for kind in KINDS]
)
def test_a_run_of_every_kind_is_drawn_explained_and_exported(kind: str) -> None:
    few = [word for word in TINY if not word.startswith(("data=", "backbone"))]
    words = [*FEW_IMAGES, *few, *KINDS[kind], "recipe.epochs=1", "callbacks=attention_images"]
    run, has_maps = trained(*words), kind not in WITHOUT_MAPS
    events = EventAccumulator(str(run.path)).Reload()
    assert bool(events.Tags()["images"]) == has_maps
    assert main(["explain", str(run.path), "--images", "2"]) == 0
    with np.load(next(Path("outputs/explanations").glob("*.npz"))) as found:
        assert any(name.startswith("map/") for name in found) == has_maps
    picture(50, 40, 1).save("photo.png")
    assert main(["predict", str(run.path), "photo.png", *(["--maps", "maps"] if has_maps else [])]) == 0
    assert Path("maps/photo.png.png").is_file() == has_maps
    assert main(["export", str(run.path), "--format", "safetensors", *(["--maps"] if has_maps else [])]) == 0
