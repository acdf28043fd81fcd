"""No room for a run's files: one line, exit status 1, and after room is made the run goes on bit for bit."""

import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from attnbench.cli.main import main
from attnbench.runs.folder import find_runs
from tests.conftest import TINY
from tests.training.test_train import FEW_IMAGES

WORDS = ["train", *TINY, *FEW_IMAGES, "backbone.depth=8", "recipe.epochs=3"]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse to make a file larger than this, as `ulimit -f` does."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def results(output: str) -> dict[str, Any]:
    """A run's metrics and predictions, without what the clock decides."""
    (run,) = find_runs(Path(output))
    record = json.loads(run.record_file.read_text())
    rows = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    kept = {key: value for key, value in record.items() if key.startswith(("test/", "val/", "status"))}
    return {**kept, "losses": [row["train/loss"] for row in rows], "bytes": run.last_predictions.read_bytes()}


def answer(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("size", "name"),
    [(500, "config.yaml"), (2000, "record.json"), (20_000, "checkpoints/last.ckpt"), (60_000, "checkpoints/last.ckpt")],
)
def test_a_limit_of_the_file_size(size: int, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*WORDS, "output=whole"]) == 0
    capsys.readouterr()
    with largest_file(size):
        assert main([*WORDS, "output=parts"]) == 1
    error = answer(capsys)
    (run,) = find_runs(Path("parts"))
    assert f"{run.path}/{name}: cannot be written: File too large (" in error
    assert f"limit of the file size: {size if size < 1000 else size // 1000}" in error
    assert "with a larger limit the same command continues" in error
    assert run.state() in ("failed", "new")
    assert not [path for path in run.path.rglob(".*") if path.name != ".lock"]
    assert main([*WORDS, "output=parts"]) == 0
    assert results("parts") == results("whole")


def test_a_disk_without_room_for_a_folder(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def mkdir(path: str, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert main([*WORDS, "output=full"]) == 1
    assert re.fullmatch(
        r"attnbench: full/runs/\S+/seed0: cannot be written: No space left on device \(.*\n", answer(capsys)
    )


TMPFS = """
mount -t tmpfs -o size={size} none "$0" && shift 0 && cd "$0" && "$@"
status=$?
cp -r "$0"/outputs "$0".copy
exit $status
"""


@pytest.mark.slow
@pytest.mark.parametrize("size", [4, 8, 16, 24, 100, 130])
def test_a_full_disk(size: int, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A small disk of its own. The run goes on from what is left of it, on a disk with room."""
    disk = own_folder / "disk"
    disk.mkdir()
    probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", disk], check=False, capture_output=True)
    if probe.returncode:
        pytest.skip("mounting is not allowed here")
    mount = TMPFS.format(size=f"{size}k")
    command = ["unshare", "-m", "sh", "-c", mount, os.fspath(disk), sys.executable, "-m", "attnbench"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([*command, *WORDS], check=False, capture_output=True, text=True, env=environment)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "cannot be written: No space left on device" in ended.stderr
    assert "once there is room, the same command continues" in ended.stderr
    shutil.move(own_folder / "disk.copy", own_folder / "parts")
    for output in ("parts", "whole"):
        assert main([*WORDS, f"output={output}"]) == 0
    assert results("parts") == results("whole")
