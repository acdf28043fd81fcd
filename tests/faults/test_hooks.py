"""The harness itself: its hooks count what changes files, and stop at exactly the operation that they are told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.children import HOOKS, ROOT

REPLACE = """
import sys
from pathlib import Path
from attnbench.runs.files import write_atomically
Path("file").read_text()
write_atomically(Path("file"), "new" * 10_000)
"""
OPERATIONS = ["open", "opened", "write", "fsync", "replace"]


def run(code: str, folder: Path, fault: str = "") -> tuple[int, list[str]]:
    """Run code in a folder; return its status and the operations that it did."""
    log = folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    variables = {"FAULT_ROOT": str(folder), "FAULT_LOG": str(log), "FAULT": fault}
    path = os.pathsep.join([str(HOOKS), str(ROOT)])
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=folder, env={**os.environ, **variables, "PYTHONPATH": path}, check=False,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    return ended.returncode, log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").write_text("old")
    return tmp_path / "work"


def test_changes_are_counted_and_reading_is_not(folder: Path) -> None:
    status, operations = run(REPLACE, folder)
    assert (status, [line.split()[0] for line in operations]) == (0, OPERATIONS)
    assert (folder / "file").read_text() == "new" * 10_000


@pytest.mark.parametrize("number", range(1, len(OPERATIONS) + 1))
def test_a_file_that_is_replaced_atomically_is_the_old_one_whenever_the_process_is_killed(
    number: int, folder: Path
) -> None:
    status, operations = run(REPLACE, folder, f"kill {number}")
    assert (status, len(operations)) == (-9, number)
    assert (folder / "file").read_text() == "old"


def test_a_file_that_is_written_in_place_is_lost_half(folder: Path) -> None:
    code = "from pathlib import Path; Path('file').write_text('new' * 10)"
    assert run(code, folder, "kill 3") == (-9, ["open file", "opened file", "write file"])
    assert (folder / "file").read_text() == "new" * 5


def test_a_disk_stays_full(folder: Path) -> None:
    code = "import contextlib\nfor name in 'abc':\n with contextlib.suppress(OSError):\n  open(name, 'w').write('x')"
    assert run(code, folder, "full 4")[0] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a", "file"]
