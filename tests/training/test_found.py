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
from attnbench.training.found import find_finished
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


def test_a_finished_run_is_found_without_torch_and_prints_the_same(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tiny("seed=3"))
    words = ["train", *TINY, "seed=3"]
    found = subprocess.run([sys.executable, "-c", FIND, *words], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert main([*words, "trainer.block_length=2"]) == 0  # checks everything, and finds the same run
    assert capsys.readouterr().out == found.stdout
    assert "already trained: outputs/runs/digits-resnet20-none-" in found.stdout


def test_weights_are_known_by_the_content_of_their_file(tiny: Tiny) -> None:
    torch.save(build_model(tiny()).backbone.state_dict(), "a.pt")
    folder = finish(tiny("backbone.weights=a.pt"))
    found = find_finished(Experiment(tiny("backbone.weights=a.pt")))
    assert found is not None
    assert found[0].folder == folder
    torch.save(build_model(tiny()).backbone.state_dict(), "a.pt")
    assert find_finished(Experiment(tiny("backbone.weights=a.pt"))) is None
    assert find_finished(Experiment(tiny("backbone.weights=absent.pt"))) is None


@pytest.mark.parametrize("change", ["seed=1", "recipe.lr=0.3", "trainer.threads=2", "run.again=true", "logger=none"])
def test_a_configuration_that_is_not_the_recorded_one_is_not_found(tiny: Tiny, change: str) -> None:
    finish(tiny())
    assert find_finished(Experiment(tiny())) is not None
    assert find_finished(Experiment(tiny(change))) is None


def test_what_another_version_has_checked_is_checked_again(tiny: Tiny) -> None:
    finish(tiny(), version="0.0.1")
    assert find_finished(Experiment(tiny())) is None


def test_a_wrong_option_that_changes_no_result_is_rejected_for_a_finished_run(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(tiny())
    assert main(["train", *TINY, "trainer.threads=0"]) == 2
    assert "trainer.threads=0: must be at least 1" in capsys.readouterr().err


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
