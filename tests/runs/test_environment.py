"""What a record says of the code that it was made with."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.runs.environment import git_state


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a file of code and a kept result."""
    for name in ("code.py", "outputs/reproduced/table.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("before\n")
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@nowhere.invalid"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    return tmp_path


@pytest.mark.parametrize(("changed", "dirty"), [("code.py", True), ("outputs/reproduced/table.md", False)])
def test_kept_results_are_no_changes_of_the_code(checkout: Path, changed: str, dirty: bool) -> None:
    before = git_state(checkout)
    assert before is not None
    assert len(before.commit) == 40
    assert before.dirty is False
    (checkout / changed).write_text("after\n")
    assert git_state(checkout) == replace(before, dirty=dirty)


def test_there_is_none_outside_a_checkout(tmp_path: Path) -> None:
    assert git_state(tmp_path) is None
