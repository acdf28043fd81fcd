"""What the README shows works as it stands there."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.config.sweep import expand
from attnbench.tables.load import load_table, table_files
from tests.conftest import TINY

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (?:\$ )?attnbench (train|cost) (.*?)\s*(?:#.*)?$", TEXT, re.MULTILINE)
FIRST_COMMANDS = ("pip install -e . && attnbench train", "pip install -e '.[dev]' && pytest")


def test_the_two_commands_stand_at_the_top() -> None:
    assert all(command in TEXT[:600] for command in FIRST_COMMANDS)


def test_ci_runs_the_test_command() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert FIRST_COMMANDS[1] in ci


@pytest.mark.parametrize(("verb", "words"), COMMANDS)
def test_commands_compose(verb: str, words: str) -> None:
    overrides = shlex.split(words)
    if "--config-dir" in overrides or "attention.reducton=8" in overrides:
        pytest.skip("has a test of its own")
    if "-m" in overrides:
        assert expand([word for word in overrides if word != "-m"]).configs
    else:
        assert compose(overrides).choices


def test_every_table_of_papers_is_told_of() -> None:
    assert re.findall(r"^\| `([\w/]+)` \| (?:none|\d)", TEXT, re.MULTILINE) == sorted(table_files())


@pytest.mark.parametrize(
    "words", re.findall(r"^    attnbench (?:reproduce|table) (\w+/.*?)\s*(?:#.*)?$", TEXT, re.MULTILINE)
)
def test_tables_are_there(words: str) -> None:
    assert load_table(words.split(maxsplit=1)[0])


def test_a_mistake_is_answered_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "attention=bam", "attention.reducton=8"]) == 2
    (shown,) = re.findall(r"^    (attnbench: attention\.reducton.*)…\)$", TEXT, re.MULTILINE)
    assert capsys.readouterr().err.startswith(shown)


@pytest.fixture
def example(own_folder: Path) -> None:
    """The README's own attention, in the current folder."""
    code = next(block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "class Gate(" in block)
    (yaml,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (own_folder / "lab.py").write_text(code)
    (own_folder / "mine" / "attention").mkdir(parents=True)
    (own_folder / "mine" / "attention" / "gated_stages.yaml").write_text(yaml)


def attnbench(*words: str) -> subprocess.CompletedProcess[str]:
    """The command as it is installed; unlike `python -m`, it does not look for modules in the current folder."""
    command = Path(sys.executable).with_name("attnbench")
    return subprocess.run([command, *words], check=False, capture_output=True, text=True)


@pytest.mark.usefixtures("example")
def test_the_own_attention_is_costed_and_swept() -> None:
    cost = attnbench("cost", "--json", "--config-dir", "mine", "attention=gated_stages")
    assert json.loads(cost.stdout)["attention_parameters"] == 16 + 32 + 64 + 3
    swept = ("attention=none,gated_stages", "attention.weight=1,2", "recipe.epochs=1")
    result = attnbench("train", "-m", "--config-dir", "mine", *TINY, *swept)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 runs: 3 trained" in result.stdout
