"""The built wheel, unpacked elsewhere and run from another folder, works like the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import TINY

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what an installation of the wheel puts beside other packages."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", os.fspath(folder)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def run(unpacked: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.fspath(unpacked)}
    return subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True, env=environment)


def test_every_config_is_in_it(unpacked: Path) -> None:
    def names(folder: Path) -> set[str]:
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*.yaml")}

    assert names(unpacked / "attnbench" / "configs") == names(ROOT / "configs")
    assert not list(unpacked.rglob("test_*.py"))


def test_type_checkers_find_its_types(unpacked: Path) -> None:
    assert (unpacked / "attnbench" / "py.typed").is_file()


PROGRAM = f"""
from attnbench.config.search_path import shipped
from attnbench.cli.main import main
print("configs:", shipped())
print("trained:", main(["train", *{[*TINY, "recipe.epochs=1"]!r}]))
print("shown:", main(["table", "bam/1b", "--format", "html"]))
"""


@pytest.mark.slow
def test_its_own_configs_are_used_to_train_and_to_make_pages(unpacked: Path) -> None:
    result = run(unpacked, "-c", PROGRAM)
    assert result.returncode == 0, result.stderr
    assert f"configs: {unpacked / 'attnbench' / 'configs'}\n" in result.stdout
    assert "test top-1 accuracy" in result.stdout
    _, _, page = result.stdout.partition("trained: 0\n")
    assert page.startswith("<!DOCTYPE html>"), result.stderr
    assert page.endswith("shown: 0\n")


@pytest.mark.slow
def test_it_sweeps(unpacked: Path) -> None:
    swept = ("attention=none,bam", "attention.reduction=2")
    result = run(unpacked, "-m", "attnbench", "train", "-m", *TINY, "recipe.epochs=1", *swept)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert len(list(Path("outputs/runs").glob("*/seed*/record.json"))) == 2
