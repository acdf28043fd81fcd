"""Decoding workers: one stream at a time, and none outlives its process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnbench.data.loaders.workers import CHUNK, Request, report_unless_the_parent_left


def test_workers_draw_nothing_from_torch(loader: Any) -> None:
    made = loader("data.workers=1")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(made.epoch(0))
    list(made.epoch(1))
    assert torch.equal(torch.rand(3), expected)


def test_a_stream_that_another_one_ended_says_so(loader: Any) -> None:
    made = loader()
    first, second = (made.workers.stream([Request("train", np.arange(3))] * 2) for _ in range(2))
    next(second)
    with pytest.raises(RuntimeError, match="another stream"):
        next(first)


def test_large_batches_come_in_chunks(root: Path, loader: Any) -> None:
    made = loader("data.batch_size=70", "data.workers=1")
    images, labels = made.epoch().batch(0)
    assert len(images) == len(labels) == 70 > 2 * CHUNK


WAITS = """
import sys, time
from attnbench.data.loaders.make import LoaderFactory
from tests.data.pictures import CPU, folder_set
if __name__ == "__main__":
    epoch = LoaderFactory(folder_set(sys.argv[1], "data.workers=2"), CPU).make("train", 0).epoch()
    epoch.batch(0)
    print("reading", flush=True)
    time.sleep(600)
"""


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_no_worker_outlives_its_process(number: signal.Signals, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    command = [sys.executable, "-c", WAITS, str(root)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    workers = children(process.pid)
    assert len(workers) == 2
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # Ctrl-C reaches the whole group
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") <= 1  # the script's own
    deadline = time.monotonic() + 30
    while not all(gone(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_worker_is_silent_when_its_process_ends_while_it_fetches_images(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (EOFError(), ConnectionResetError(), BrokenPipeError()):
        report_unless_the_parent_left(type(error), error, None)
    assert capsys.readouterr().err == ""
    report_unless_the_parent_left(ValueError, ValueError("of the worker's own"), None)
    assert "ValueError: of the worker's own" in capsys.readouterr().err
