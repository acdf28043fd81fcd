"""However a run's processes or their starter are ended: none goes on unseen, and every run can be resumed."""

import os
import pty
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from attnbench.runs.folder import find_runs
from tests.faults.processes import LONG, family, wait_until

SWEEP = ("train", "-m", *LONG, "seed=0,1", "sweep.jobs=2")
STOPPED_WITHIN = 30
"""Seconds; slow machines take some of them to import."""


def training(count: int) -> None:
    """Wait until so many runs have finished an epoch."""
    wait_until(lambda: sum(bool(run.rows()) for run in find_runs(Path("outputs"))) == count, 120)


def states() -> list[str]:
    return [run.state() for run in find_runs(Path("outputs"))]


def recorded() -> list[str]:
    return [record.status for run in find_runs(Path("outputs")) if (record := run.record())]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGKILL, -9)]
)
def test_a_sweep_that_is_ended_leaves_no_process(number: signal.Signals, status: int) -> None:
    with family(*SWEEP) as sweep:
        training(2)
        sweep.process.send_signal(number)
        assert sweep.end(STOPPED_WITHIN) == status
    assert recorded() == ["interrupted", "interrupted"]
    assert "Traceback" not in sweep.output()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.5, 2, 4])
def test_a_sweep_that_is_ended_while_it_imports_leaves_no_process(number: signal.Signals, seconds: float) -> None:
    with family(*SWEEP) as sweep:
        time.sleep(seconds)
        sweep.process.send_signal(number)
        sweep.end(STOPPED_WITHIN)
    if seconds > 1:
        assert "Traceback" not in sweep.output()


@pytest.mark.slow
def test_a_closed_terminal_stops_a_sweep() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update({"PYTHONPATH": str(Path(__file__).parents[2]), "ATTNBENCH_TEST_FAMILY": "terminal"})
        os.execvp("python", ["python", "-m", "attnbench", *SWEEP])
    os.set_blocking(terminal, False)

    def read() -> bool:
        with suppress(BlockingIOError):
            os.read(terminal, 65536)
        return sum(bool(run.rows()) for run in find_runs(Path("outputs"))) == 2

    wait_until(read, 120)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in (130, -1)
    wait_until(lambda: recorded() == ["interrupted", "interrupted"], STOPPED_WITHIN)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_run_on_two_devices_that_is_ended_leaves_no_process(number: signal.Signals) -> None:
    with family("train", *LONG, "trainer.accelerator=cpu", "trainer.devices=2") as run:
        training(1)
        run.process.send_signal(number)
        assert run.end(STOPPED_WITHIN) == (-9 if number == signal.SIGKILL else 130)
    assert recorded() == ["interrupted"]
    assert "Traceback" not in run.output()


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_process_of_a_run_is_killed_the_others_end(rank: int) -> None:
    with family("train", *LONG, "trainer.accelerator=cpu", "trainer.devices=2") as run:
        training(1)
        os.kill(run.find(f"--rank={rank}"), signal.SIGKILL)
        assert run.end(STOPPED_WITHIN) == 1
    assert f"process {rank + 1} of 2 was killed by signal 9" in run.output()
    assert states() in (["interrupted"], ["failed"])


@pytest.mark.slow
def test_a_run_whose_server_is_killed_is_reported_and_stops() -> None:
    with family(*SWEEP) as sweep:
        training(2)
        os.kill(sweep.find("fork_server"), signal.SIGKILL)
        time.sleep(2)
        sweep.process.send_signal(signal.SIGTERM)
        assert sweep.end(STOPPED_WITHIN) == 130
    assert recorded() == ["interrupted", "interrupted"]
