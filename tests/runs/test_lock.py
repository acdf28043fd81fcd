"""A run folder has one owner; a dead one's lock is taken over."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.runs.lock import DEAD_AFTER_SECONDS, Lock, Owner, RunLockedError, alive, owner_of, process_started


def write_lock(folder: Path, **content: object) -> None:
    host, now = socket.gethostname(), time.time()
    owner = {"host": host, "pid": os.getpid(), "started": process_started(os.getpid()), "heartbeat": now, **content}
    (folder / "lock.json").write_text(json.dumps(owner))


def test_the_second_one_is_told_of_the_first(own_folder: Path) -> None:
    with Lock(own_folder), pytest.raises(RunLockedError) as caught, Lock(own_folder):
        pass
    for part in (str(own_folder), str(os.getpid()), socket.gethostname(), "heartbeat"):
        assert part in str(caught.value)


def test_a_released_lock_can_be_taken(own_folder: Path) -> None:
    for _ in range(2):
        with Lock(own_folder):
            assert owner_of(own_folder) is not None
        assert owner_of(own_folder) is None
        assert not (own_folder / "lock.json").exists()


def test_it_is_released_when_the_run_fails(own_folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), Lock(own_folder):
        raise ZeroDivisionError
    assert owner_of(own_folder) is None


def test_a_dead_process_is_no_owner(own_folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_lock(own_folder, pid=process.pid)
    with Lock(own_folder):
        owner = owner_of(own_folder)
        assert owner is not None
        assert owner.pid == os.getpid()


@pytest.mark.skipif(process_started(os.getpid()) is None, reason="the system does not tell when a process started")
def test_a_process_that_got_a_dead_ones_number_is_no_owner(own_folder: Path) -> None:
    write_lock(own_folder, started="1")
    with Lock(own_folder):
        pass


def test_on_another_host_the_heartbeat_counts(own_folder: Path) -> None:
    write_lock(own_folder, host="elsewhere", heartbeat=time.time() - DEAD_AFTER_SECONDS / 2)
    with pytest.raises(RunLockedError), Lock(own_folder):
        pass
    write_lock(own_folder, host="elsewhere", heartbeat=time.time() - 2 * DEAD_AFTER_SECONDS)
    with Lock(own_folder):
        pass


def test_the_heart_beats_and_tells_progress(own_folder: Path) -> None:
    with Lock(own_folder, heartbeat_seconds=0.02) as lock:
        first = json.loads((own_folder / "lock.json").read_text())["heartbeat"]
        lock.report(epoch=3)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            found = json.loads((own_folder / "lock.json").read_text())
            if found["progress"] == {"epoch": 3}:
                break
            time.sleep(0.01)
        assert found["progress"] == {"epoch": 3}
        assert found["heartbeat"] > first


def test_an_owner_that_was_taken_for_dead_notices(own_folder: Path) -> None:
    with Lock(own_folder, heartbeat_seconds=0.02) as lock:
        write_lock(own_folder, host="elsewhere")
        deadline = time.monotonic() + 5
        while not lock.lost and time.monotonic() < deadline:
            time.sleep(0.01)
        assert lock.lost
    assert json.loads((own_folder / "lock.json").read_text())["host"] == "elsewhere"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[1]", b'{"host": 3}', b"[" * 100_000])
def test_a_damaged_lock_has_no_owner(content: bytes, own_folder: Path) -> None:
    (own_folder / "lock.json").write_bytes(content)
    assert owner_of(own_folder) is None
    with Lock(own_folder):
        assert owner_of(own_folder) is not None


def test_a_folder_in_place_of_the_lock_is_one_line(own_folder: Path) -> None:
    (own_folder / "lock.json").mkdir()
    with pytest.raises(UserError, match=r"^lock\.json: damaged: it is a folder, not a file; [^\n]*$"), Lock(own_folder):
        pass


def test_only_one_of_many_gets_it(own_folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from attnbench.runs.lock import Lock, RunLockedError\n"
        "try:\n"
        "    with Lock(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()\n"
        "except RunLockedError: print('owned')\n"
    )
    command = [sys.executable, "-c", code, str(own_folder)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    deadline = time.monotonic() + 120
    while sum(process.poll() is not None for process in processes) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    said = [process.communicate(timeout=60)[0].strip() for process in processes]  # closes the owner's input
    assert sorted(said) == ["mine", "owned", "owned", "owned"]


def test_this_process_lives() -> None:
    pid = os.getpid()
    owner = Owner(host=socket.gethostname(), pid=pid, started=process_started(pid), heartbeat=time.time())
    assert alive(owner)
    for number in (2**22 + 1, 2**80, 0, -1):
        assert not alive(replace(owner, pid=number))
