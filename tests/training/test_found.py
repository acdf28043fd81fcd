"""A finished run is found by its record alone, without torch; whatever was not checked before is checked as ever."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attnbench.build import build_model
from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.runs.files import make_folder, write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.owner import LOCK_FILE
from attnbench.training.experiment import Experiment
from attnbench.training.found import all_finished, find_finished
from attnbench.training.plan import plan
from attnbench.version import __version__
from tests.conftest import TINY
from tests.data.pictures import write_split
from tests.runs.samples import ENVIRONMENT, record_json

Tiny = Callable[..., RunConfig]
FIND = """
import sys
from attnbench.cli.main import main
status = main(sys.argv[1:])
assert not {"torch", "torchvision", "pytorch_lightning", "scipy", "pandas", "matplotlib"} & set(sys.modules)
sys.exit(status)
"""

KILLED = """
import os, sys
from pathlib import Path
from attnbench.runs.lock import Lock
with Lock(Path(sys.argv[1])):
    os._exit(9)
"""


def finish(config: RunConfig, version: str = __version__) -> Path:
    """Write the record of a finished run, as `version` of this package would have, and return its folder."""
    job = Experiment(config).job
    content = record_json(
        identity=job.identity,
        seed=job.seed,
        choices=config.choices,
        config=config.values,
        environment=ENVIRONMENT | {"attnbench": version},
    )
    make_folder(job.folder)
    write_json(RunFolder(job.folder).record_file, content)
    return job.folder


def find(*words: str) -> str:
    """Return what is printed by a command that must not import torch."""
    found = subprocess.run([sys.executable, "-c", FIND, *words], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    return found.stdout


def test_a_finished_run_is_found_without_torch_and_prints_the_same(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finish(tiny("seed=3"))
    words = ["train", *TINY, "seed=3"]
    found = find(*words)
    assert "already trained: outputs/runs/digits-resnet20-none-" in found
    finish(tiny("seed=3"), version="0.0.1")
    assert main(words) == 0  # checks everything, and finds the same run
    assert capsys.readouterr().out == found
    assert RunFolder(folder).finished()


@pytest.mark.parametrize(
    "words",
    [
        ("trainer.block_length=4", "trainer.threads=2", "trainer.progress=false", "trainer.compile=true"),
        ("logger=[tensorboard,csv]", "callbacks=attention_images", "sweep.jobs=2", "run.on_divergence=continue"),
    ],
)
def test_settings_that_change_no_result_are_checked_without_torch(tiny: Tiny, words: tuple[str, ...]) -> None:
    finish(tiny())
    assert "already trained: " in find("train", *TINY, *words)


def test_a_sweep_whose_runs_are_finished_is_found_without_torch(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    for attention in ("none", "se"):
        for seed in range(2):
            finish(tiny(f"attention={attention}", f"seed={seed}"))
    words = ["train", "-m", *TINY, "attention=none,se", "seed=0,1", "trainer.block_length=4"]
    assert main(words) == 0  # the curves are grouped, which takes torch
    assert "4 runs: 4 already trained" in capsys.readouterr().out
    assert "4 runs: 4 already trained" in find(*words)
    assert "2 runs: 2 already trained" in find("train", "-m", *TINY, "seed=0,1", "logger=none")
    finish(tiny("seed=1"), version="0.0.1")
    assert main(["train", "-m", *TINY, "seed=0,1", "logger=none"]) == 0  # checks everything, and finds the same runs
    assert "2 runs: 2 already trained" in capsys.readouterr().out


def test_finished_runs_need_no_cluster(tiny: Tiny) -> None:
    finish(tiny())
    assert "1 runs: 1 already trained" in find("train", *TINY, "logger=none", "launch=slurm")


def test_all_finished_has_each_run_once(tiny: Tiny) -> None:
    configs = [tiny(f"seed={seed}") for seed in (0, 1)]
    first, second = [finish(config) for config in configs]
    found = all_finished([*configs, tiny("seed=1", "trainer.threads=2")])
    assert found is not None
    assert [job.folder for job in found] == [first, second]
    assert found == [plan(config) for config in configs]
    assert all_finished([*configs, tiny("seed=2")]) is None


def test_weights_are_known_by_the_content_of_their_file(tiny: Tiny) -> None:
    torch.save(build_model(tiny()).backbone.state_dict(), "a.pt")
    folder = finish(tiny("backbone.weights=a.pt"))
    found = find_finished(Experiment(tiny("backbone.weights=a.pt")))
    assert found is not None
    assert found[0].folder == folder
    torch.save(build_model(tiny()).backbone.state_dict(), "a.pt")
    assert find_finished(Experiment(tiny("backbone.weights=a.pt"))) is None
    assert find_finished(Experiment(tiny("backbone.weights=absent.pt"))) is None


@pytest.mark.parametrize("change", ["seed=1", "recipe.lr=0.3", "run.again=true", "trainer.compile=graphs"])
def test_a_configuration_that_is_not_the_recorded_one_is_not_found(tiny: Tiny, change: str) -> None:
    finish(tiny())
    assert find_finished(Experiment(tiny())) is not None
    assert find_finished(Experiment(tiny(change))) is None


def test_what_another_version_has_checked_is_checked_again(tiny: Tiny) -> None:
    finish(tiny(), version="0.0.1")
    assert find_finished(Experiment(tiny())) is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trainer.threads=0",), "trainer.threads=0: must be at least 1"),
        (("trainer.block_length=-2",), "trainer.block_length=-2: must be at least 1"),
        (("trainer.treads=2",), "trainer.treads: trainer=default has no such key; did you mean threads?"),
        (("trainer.compile=graphs", "trainer.accelerator=cpu"), "trainer.compile=graphs: needs a GPU"),
        (("logger=lost", "--config-dir", "own"), "logger.lost._target_=nowhere.Logger: cannot be imported"),
        (("logger=mlflow", "logger.mlflow.tracking_uri=http://me:word@host"), "logger.mlflow.tracking_uri: records"),
        (("-m", "seed=0,0", "sweep.jobs=0"), "sweep.jobs=0: must be at least 1, or auto"),
        (("-m", "seed=0,0", "trainer.threads=0"), "trainer.threads=0: must be at least 1"),
    ],
)
def test_a_wrong_option_that_changes_no_result_is_rejected_for_a_finished_run(
    words: tuple[str, ...], message: str, tiny: Tiny, capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    (own_folder / "own" / "logger").mkdir(parents=True)
    (own_folder / "own" / "logger" / "lost.yaml").write_text("lost: {_target_: nowhere.Logger}\n")
    finish(tiny())
    finish(tiny("trainer.accelerator=cpu"))
    assert main(["train", *TINY, *words]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_record_and_missing_data_are_left_to_the_checks(
    tiny: Tiny, capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    folder = finish(tiny())
    RunFolder(folder).record_file.write_text("{")
    assert find_finished(Experiment(tiny())) is None
    for split in ("train", "test"):
        write_split(own_folder / "photos" / split, ("cat", "dog"), 1)
    photos = ("data=image_folder", f"data.root={own_folder / 'photos'}", "data.batch_size=2")
    finish(tiny(*photos))
    assert find_finished(Experiment(tiny(*photos))) is not None
    (own_folder / "photos").rename(own_folder / "elsewhere")
    assert main(["train", *TINY, *photos]) == 2
    assert "photos" in capsys.readouterr().err


def test_what_a_kill_at_the_very_end_left_is_removed(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finish(tiny())
    subprocess.run([sys.executable, "-c", KILLED, folder], check=False)
    assert (folder / LOCK_FILE).is_file()
    assert main(["train", *TINY]) == 0
    assert "already trained" in capsys.readouterr().out
    assert not (folder / LOCK_FILE).exists()
