"""A tiny trained run, shared by the tests of exports and predictions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.config.compose import compose
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import TrainedRun, load_run
from tests.conftest import TINY


@pytest.fixture(scope="session")
def bam_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with attention maps, of the second seed of two."""
    output = tmp_path_factory.mktemp("exported")
    options = (
        *TINY,
        "attention=bam",
        "attention.reduction=2",
        "backbone.depth=8",
        "recipe.epochs=1",
        f"output={output}",
    )
    jobs = [plan(compose([*options, f"seed={seed}"])) for seed in (0, 1)]
    for job in jobs:
        train(job)
    return jobs[1].folder


@pytest.fixture
def bam_run(bam_folder: Path) -> TrainedRun:
    """That run, loaded."""
    return load_run(bam_folder)


@pytest.fixture
def trained(own_folder: Path) -> Callable[..., TrainedRun]:
    """Train a tiny network with overrides, and load the run."""

    def make(*overrides: str) -> TrainedRun:
        job = plan(compose([*TINY, "backbone.depth=8", "recipe.epochs=1", *overrides]))
        train(job)
        return load_run(job.folder)

    return make
