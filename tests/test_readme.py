"""README's promises; its commands are tested with those of the documentation, in tests/docs."""

import json
import re
import sys
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.runs.identity import identity
from tests.conftest import TINY
from tests.docs.pages import ROOT, example_files

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_COMMANDS = ("pip install -e . && attnbench train", "pip install -e '.[dev]' && pytest")
LARGEST_PICTURE = 300_000


def test_readme_is_short() -> None:
    assert len(TEXT.splitlines()) <= 135


def test_the_two_commands_come_first() -> None:
    first_section = TEXT.partition("\n## ")[0]
    assert all(command in first_section for command in FIRST_COMMANDS)


def test_ci_runs_the_test_command() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert FIRST_COMMANDS[1] in ci


def test_pictures_are_there_and_small() -> None:
    (path,) = re.findall(r"^!\[.*\]\((.*)\)$", TEXT, re.MULTILINE)
    assert 0 < (ROOT / path).stat().st_size < LARGEST_PICTURE


def test_the_hash_is_that_of_the_default_run() -> None:
    config = compose([])
    (shown,) = re.findall(r'load_run\("(\w+)/seed0"\)', TEXT)
    assert identity(config, build_data(config).fingerprint()).startswith(shown)


def test_the_mistake_is_answered_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "attention=bam", "attention.reducton=8"]) == 2
    (shown,) = re.findall(r"^    (attnbench: attention\.reducton.*)…\)$", TEXT, re.MULTILINE)
    assert capsys.readouterr().err.startswith(shown)


def test_the_own_attention_has_thirty_lines() -> None:
    files = example_files(TEXT)
    assert set(files) == {"lab.py", "mine/attention/stage_gates.yaml"}
    assert sum(len([line for line in content.splitlines() if line]) for content in files.values()) <= 30


@pytest.fixture
def example(own_folder: Path) -> None:
    """README's attention, in the current folder."""
    for path, content in example_files(TEXT).items():
        (own_folder / path).parent.mkdir(parents=True, exist_ok=True)
        (own_folder / path).write_text(content, encoding="utf-8")


@pytest.mark.usefixtures("example")
def test_the_own_attention_is_costed_and_swept(capsys: pytest.CaptureFixture[str]) -> None:
    assert str(Path.cwd()) not in sys.path  # as for the installed command: `--config-dir` alone says where modules are
    assert main(["cost", "--json", "--config-dir", "mine", "attention=stage_gates"]) == 0
    assert json.loads(capsys.readouterr().out)["attention_parameters"] == 16 + 32 + 64 + 3
    swept = ("attention=none,stage_gates", "attention.weight=1,2", "recipe.epochs=1")
    assert main(["train", "-m", "--config-dir", "mine", *TINY, *swept]) == 0
    assert "3 runs: 3 trained" in capsys.readouterr().out
