"""Stopping sweeps and runs from outside."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.launch import stop as module
from attnbench.launch.stop import stop_runs, stop_sweep
from attnbench.runs.files import write_json
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.owner import owner_of
from attnbench.runs.stop_request import request_stop
from attnbench.runs.sweeps import SweepFolder, sweep_of

Capture = pytest.CaptureFixture[str]
OWNER = """
import socket, sys, time
from pathlib import Path
from attnbench.runs.lock import Lock
from attnbench.termination import heed_requests
host, folder, beat = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
socket.gethostname = lambda: host
heed_requests()
try:
    with Lock(folder, beat): time.sleep(60)
except KeyboardInterrupt: sys.exit(130)
"""
WATCHER = """
import sys, time
from pathlib import Path
from attnbench.runs.sweeps import SweepFolder
from attnbench.termination import heed_requests
heed_requests()
try:
    with SweepFolder(Path(sys.argv[1])).owned():
        print("watches", flush=True)
        time.sleep(60)
except KeyboardInterrupt: sys.exit(130)
"""
ELSEWHERE = {"host": "another", "pid": 1, "started": "1", "heartbeat": 0.0}


def owner(folder: Path, host: str | None = None, beat: float = 0.1) -> "subprocess.Popen[bytes]":
    """Start a process that owns a folder, on a machine of another name if one is given."""
    words = [host or socket.gethostname(), str(folder), str(beat)]
    process = subprocess.Popen([sys.executable, "-c", OWNER, *words])
    deadline = time.monotonic() + 30
    while owner_of(folder) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def jobs(*seeds: int) -> list[Job]:
    folder = Path("outputs/runs/digits-0123456789").absolute()
    values = {"recipe": {"epochs": 4}}
    made = [Job(RunConfig({**values, "seed": seed}, {}, {}), "x", folder / f"seed{seed}") for seed in seeds]
    for job in made:
        job.folder.mkdir(parents=True)
        (job.folder / "config.yaml").touch()
    return made


def begun(made: list[Job], engine: str = "local", tasks: tuple[str, ...] = ()) -> SweepFolder:
    sweep = sweep_of(made)
    sweep.begin(made, [f"seed={job.seed}" for job in made], engine)
    sweep.note_tasks({job.folder: task for job, task in zip(made, tasks, strict=False)})
    return sweep


def test_a_sweeps_scheduler_and_stray_runs_are_asked_and_waited_for(capsys: Capture) -> None:
    sweep = begun(made := jobs(0, 1))
    processes = [owner(sweep.path), owner(made[1].folder)]
    assert main(["stop"]) == 0
    assert [process.wait(5) for process in processes] == [130, 130]
    out = capsys.readouterr().out
    assert f"the scheduler of {sweep.id}, process {processes[0].pid} on" in out
    assert f"seed1: a run, process {processes[1].pid} on" in out
    assert main(["stop", sweep.id]) == 0
    assert "nothing of it is under way" in capsys.readouterr().out


def test_a_single_run_is_stopped_alone(capsys: Capture) -> None:
    sweep = begun(made := jobs(0, 1))
    scheduler, run = owner(sweep.path), owner(made[0].folder)
    assert main(["stop", "0123/seed0"]) == 0
    assert run.wait(5) == 130
    assert scheduler.poll() is None
    assert main(["stop", sweep.id]) == 0
    assert scheduler.wait(5) == 130


def test_a_scheduler_and_a_run_on_other_machines_find_the_request(capsys: Capture) -> None:
    sweep = begun(made := jobs(0, 1))
    processes = [owner(sweep.path, "first"), owner(made[1].folder, "second")]
    assert main(["stop"]) == 0
    assert [process.wait(5) for process in processes] == [130, 130]
    out = capsys.readouterr().out
    assert f"the scheduler of {sweep.id}, process {processes[0].pid} on first: stopped" in out
    assert f"seed1: a run, process {processes[1].pid} on second: stopped" in out


def test_a_request_is_not_for_those_who_begin_later() -> None:
    sweep = begun(jobs(0))
    request_stop(sweep.path)
    process = owner(sweep.path, beat=0.02)
    time.sleep(0.2)
    assert process.poll() is None
    assert main(["stop", sweep.id]) == 0
    assert process.wait(5) == 130


def test_every_scheduler_of_a_sweep_is_stopped() -> None:
    sweep = begun(jobs(0))
    first = owner(sweep.path)
    second = subprocess.Popen([sys.executable, "-c", WATCHER, str(sweep.path)], stdout=subprocess.PIPE)
    assert second.stdout is not None and second.stdout.readline() == b"watches\n"
    assert main(["stop", sweep.id]) == 0
    assert [first.wait(5), second.wait(5)] == [130, 130]
    second.stdout.close()


def test_a_machine_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)
    sweep = begun(jobs(0))
    write_json(sweep.path / "lock.json", ELSEWHERE)
    assert main(["stop"]) == 1
    assert "process 1 on another: has not stopped after 0 s" in capsys.readouterr().err


def test_what_cannot_be_asked_is_one_line(capsys: Capture) -> None:
    sweep = begun(made := jobs(0))
    write_json(sweep.path / "lock.json", ELSEWHERE)
    (sweep.path / "stop.json").mkdir()
    process = owner(made[0].folder)
    assert main(["stop"]) == 1
    assert process.wait(5) == 130
    assert "stop.json: damaged: it is a folder, not a file" in capsys.readouterr().err


class KnownQueue:
    """A queue with known jobs, which notes what is cancelled."""

    def __init__(self, *tasks: str) -> None:
        self.tasks = dict.fromkeys(tasks, "")
        self.cancelled: list[str] = []

    def open_tasks(self) -> Mapping[str, str]:
        return self.tasks

    def endings(self, tasks: Iterable[str]) -> Mapping[str, str]:
        return {}

    def cancel(self, tasks: Iterable[str]) -> None:
        self.cancelled += tasks


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> KnownQueue:
    known = KnownQueue("7_0", "7_1", "9")
    monkeypatch.setattr(module, "queue_of", lambda record: known)
    return known


def test_the_open_jobs_of_a_cluster_are_cancelled(queue: KnownQueue) -> None:
    sweep = begun(jobs(0, 1, 2, 3), "slurm", ("7_0", "7_0", "7_1", "7_2"))
    result = stop_sweep(sweep)
    assert queue.cancelled == ["7_0", "7_1"]
    assert (result.done, result.failed) == (["slurm: cancelled 2 jobs"], [])


def test_a_job_that_does_other_runs_too_is_not_cancelled_for_one(queue: KnownQueue) -> None:
    made = jobs(0, 1, 2)
    sweep = begun(made, "slurm", ("7_0", "7_0", "7_1"))
    result = stop_runs([RunFolder(made[0].folder), RunFolder(made[2].folder)], Path("outputs").absolute())
    assert queue.cancelled == ["7_1"]
    assert result.failed == [f"job 7_0 of {sweep.id} does other runs too; attnbench stop {sweep.id}"]


def test_a_sweep_must_be_named_unless_one_alone_is_under_way(capsys: Capture) -> None:
    assert main(["stop"]) == 2
    assert "no sweep in outputs/sweeps is under way" in capsys.readouterr().err
    sweeps = [begun(jobs(0)), begun(jobs(1))]
    for sweep in sweeps:
        write_json(sweep.path / "lock.json", ELSEWHERE)
    assert main(["stop"]) == 2
    assert "2 sweeps are under way" in capsys.readouterr().err
