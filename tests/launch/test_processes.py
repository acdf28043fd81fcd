"""Jobs that are forked from the server, without torch: what they are given, and how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attnbench.launch import fork_server, processes
from attnbench.launch.fork_server import Lines
from attnbench.launch.processes import ForkedProcess, ServerConnection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the server is used on Linux alone")
WORKER = """
import json, os, sys, time, tempfile
def use_threads(number): pass
def work(job_file):
    said = {"environment": dict(os.environ), "main": getattr(sys.modules["__main__"], "__file__", None)}
    said |= {"leader": os.getsid(0) == os.getpid(), "stdin": sys.stdin.read()}
    job_file.with_suffix(".said").write_text(json.dumps(said))
    print("printed", flush=True)
    try:
        if job_file.stem == "long": time.sleep(60)
    except KeyboardInterrupt:
        job_file.with_suffix(".said").write_text("interrupted")
        return 130
    return 7
"""


@pytest.fixture
def server(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerConnection]:
    """A server that imports nothing first."""
    (own_folder / "light_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(own_folder)
    light = fork_server.COMMAND.replace("; sys.exit(", "; fork_server.PRELOADED = (); sys.exit(")
    monkeypatch.setattr(processes, "COMMAND", light.replace("from attnbench.launch.fork_server import main", IMPORT))
    connection = ServerConnection()
    yield connection
    connection.end()


IMPORT = "from attnbench.launch import fork_server; from attnbench.launch.fork_server import main"


@pytest.fixture
def start(server: ServerConnection, own_folder: Path) -> Callable[[str], ForkedProcess]:
    environment = {"OMP_NUM_THREADS": "1", "GIVEN": "ü"}
    return lambda name: server.start("light_worker", own_folder / name, own_folder / "log", environment)


def said(name: str) -> str:
    path = Path(name).with_suffix(".said")
    deadline = time.monotonic() + 20
    while not path.is_file() or not path.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return path.read_text()


def ended(process: ForkedProcess) -> int:
    deadline = time.monotonic() + 20
    while (status := process.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return status


def test_a_job_has_its_environment_session_and_log(start: Callable[[str], ForkedProcess], own_folder: Path) -> None:
    assert [ended(process) for process in (start("a.json"), start("b.json"))] == [7, 7]
    found = json.loads(said("a.json"))
    assert found["environment"] == {"OMP_NUM_THREADS": "1", "GIVEN": "ü"}
    assert found["leader"]
    assert found["stdin"] == ""
    assert found["main"] is None  # no script of the caller is imported
    assert (own_folder / "log").read_text() == 2 * "printed\n"


def test_a_job_finds_files_and_modules_where_the_scheduler_does_now(
    start: Callable[[str], ForkedProcess], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(start("a.json")) == 7
    moved = own_folder / "moved"
    moved.mkdir()
    (moved / "late_worker.py").write_text(WORKER.replace("said = {", 'said = {"folder": os.getcwd(), '))
    monkeypatch.chdir(moved)
    monkeypatch.syspath_prepend(moved)
    environment = {"OMP_NUM_THREADS": "1"}
    server = start("b.json").server
    assert ended(server.start("late_worker", Path("c.json"), Path("log"), environment)) == 7
    assert json.loads(said("c"))["folder"] == str(moved)


def test_a_job_can_be_interrupted(start: Callable[[str], ForkedProcess]) -> None:
    process = start("long.json")
    said("long.json")
    process.interrupt()
    assert ended(process) == 130
    assert said("long.json") == "interrupted"


def test_an_interrupt_that_comes_before_the_server_is_ready_ends_it(start: Callable[[str], ForkedProcess]) -> None:
    process = start("long.json")
    process.interrupt()
    assert ended(process) in (-9, 130)


def test_a_killed_job_is_reported_while_others_go_on(start: Callable[[str], ForkedProcess]) -> None:
    process = start("long.json")
    said("long.json")
    while process.pid is None:  # on a busy machine the job may speak before the server has answered
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert ended(process) == -9
    assert ended(start("a.json")) == 7


def test_jobs_outlive_their_server_and_are_watched(
    start: Callable[[str], ForkedProcess], server: ServerConnection
) -> None:
    process = start("long.json")
    said("long.json")
    server.process.kill()
    server.process.wait()
    assert process.poll() is None
    process.interrupt()
    assert ended(process) == -9  # nobody knows its status any more
    assert said("long.json") == "interrupted"


def test_a_job_stops_when_the_scheduler_is_gone(
    start: Callable[[str], ForkedProcess], server: ServerConnection
) -> None:
    process = start("long.json")
    said("long.json")
    assert server.process.stdin is not None
    server.process.stdin.close()
    deadline = time.monotonic() + 20
    while said("long.json") != "interrupted":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert server.process.wait(20) == 0
    assert ended(process) == -9


def test_answers_that_come_in_pieces_are_put_together() -> None:
    lines = Lines()
    assert lines.add(b'{"number": 1, ') == []
    assert lines.add(b'"pid": 2}\n{"number"') == [{"number": 1, "pid": 2}]
    assert lines.add(b": 3}\n") == [{"number": 3}]


def test_a_child_notices_the_death_of_its_parent() -> None:
    code = """
import subprocess, sys
child = "import time; from attnbench.launch.lifeline import watch_lifeline; watch_lifeline(0); print('up', flush=True)"
child += "; time.sleep(60)"
process = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE, start_new_session=True)
process.wait()
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    parent.kill()
    parent.wait()
    assert parent.stdout.read() == ""  # ends when the child, which holds the other end, has ended
