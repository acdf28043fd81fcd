"""A run folder has one owner; a dead one's lock is taken over."""

import errno
import fcntl
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.runs import lock as lock_module
from attnbench.runs.disk import WriteError
from attnbench.runs.lock import LOCK_FILES, Lock, RunLockedError
from attnbench.runs.owner import (
    DEAD_AFTER_BEATS,
    SHORT_WATCH_BEATS,
    Owner,
    OwnerWatch,
    owner_of,
    process_lives,
    process_started,
    read_owner,
)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def write_lock(folder: Path, **content: object) -> None:
    host, now = socket.gethostname(), time.time()
    owner = {"host": host, "pid": os.getpid(), "started": process_started(os.getpid()), "heartbeat": now, **content}
    part = folder / "lock.part"
    part.write_text(json.dumps(owner))
    part.replace(folder / "lock.json")  # as owners write it: never seen in part


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
def test_a_process_that_nobody_has_waited_for_is_dead(own_folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_lock(own_folder, pid=process.pid, started=process_started(process.pid))
    assert owner_of(own_folder) is not None
    process.kill()
    wait_until(lambda: owner_of(own_folder) is None, 10)
    process.communicate()


@pytest.mark.skipif(process_started(os.getpid()) is None, reason="the system does not tell when a process started")
def test_a_process_that_got_a_dead_ones_number_is_no_owner(own_folder: Path) -> None:
    write_lock(own_folder, started="1")
    with Lock(own_folder):
        pass


BEAT = 0.02


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_an_owner_on_another_host_lives_while_its_heartbeat_changes(hours: int, own_folder: Path) -> None:
    """Whatever the clocks of host and file system say."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            write_lock(own_folder, host="elsewhere", heartbeat=time.time() + 3600 * hours)
            os.utime(own_folder / "lock.json", (0, time.time() + 3600 * hours))

    write_lock(own_folder, host="elsewhere", heartbeat=time.time() + 3600 * hours)
    other = threading.Thread(target=beat)
    other.start()
    try:
        with pytest.raises(RunLockedError, match="on elsewhere"), Lock(own_folder, heartbeat_seconds=5 * BEAT):
            pass
    finally:
        ended.set()
        other.join()


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_an_owner_on_another_host_is_dead_when_its_heartbeat_stops(
    hours: int, own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    write_lock(own_folder, host="elsewhere", pid=7, heartbeat=time.time() + 3600 * hours)
    began = time.monotonic()
    with Lock(own_folder, heartbeat_seconds=BEAT):
        owner = read_owner(own_folder)
    assert time.monotonic() - began >= DEAD_AFTER_BEATS * BEAT
    assert caplog.text.count("waiting to see whether process 7 on elsewhere still trains it") == 1
    assert owner is not None
    assert owner.pid == os.getpid()


def test_a_heartbeat_that_is_late_is_watched_for_the_whole_time(own_folder: Path) -> None:
    write_lock(own_folder, host="elsewhere")
    os.utime(own_folder / "lock.json", (0, time.time() - 600))  # six beats; dead after twelve
    watch = OwnerWatch(own_folder, beat=100)
    assert watch.owner() is not None
    assert watch.needed == 1200


def test_a_heartbeat_that_stopped_long_ago_is_watched_shortly(own_folder: Path) -> None:
    write_lock(own_folder, host="elsewhere")
    os.utime(own_folder / "lock.json", (0, time.time() - 3600))
    watch = OwnerWatch(own_folder, beat=100)
    assert watch.owner() is not None
    assert watch.needed == SHORT_WATCH_BEATS * 100
    write_lock(own_folder, host="elsewhere", heartbeat=1.0)
    assert watch.owner() is not None
    assert watch.certain
    assert watch.needed == DEAD_AFTER_BEATS * 100
    assert [path.name for path in own_folder.iterdir()] == ["lock.json"]


def test_a_container_of_the_same_host_name_is_another_host(own_folder: Path) -> None:
    write_lock(own_folder, system="another boot, another namespace", pid=2**22 + 1)
    assert owner_of(own_folder) is not None
    watch = OwnerWatch(own_folder)
    assert watch.owner() is not None
    assert not watch.certain


def test_the_heart_goes_on_after_writes_that_failed(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def told(times: int) -> bool:
        return caplog.text.count("No space left") == times

    def written_since(before: Owner | None) -> bool:
        return read_owner(own_folder) != before

    with Lock(own_folder, heartbeat_seconds=BEAT) as lock:
        for times in (1, 2):  # each time of trouble is said once
            with monkeypatch.context() as patched:
                patched.setattr(lock_module, "write_json", full)
                wait_until(partial(told, times), 5)
                time.sleep(3 * BEAT)
                before = read_owner(own_folder)
            wait_until(partial(written_since, before), 5)
            assert caplog.text.count("No space left") == times
        assert not lock.lost
    assert not (own_folder / "lock.json").exists()


@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_lock_that_is_lost_or_damaged_is_written_again(content: bytes | None, own_folder: Path) -> None:
    with Lock(own_folder, heartbeat_seconds=BEAT) as lock:
        (own_folder / "lock.json").unlink()
        if content is not None:
            (own_folder / "lock.json").write_bytes(content)
        wait_until(lambda: owner_of(own_folder) is not None, 5)
        assert not lock.lost


def test_a_lock_that_was_removed_meanwhile_is_left_in_silence(
    own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Lock(own_folder):
        (own_folder / "lock.json").unlink()
    assert not caplog.text


def test_no_heartbeat_outlives_the_lock(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beating, check = threading.Event(), lock_module.check_lock

    def check_slowly(folder: Path) -> None:
        if threading.current_thread().name == "heartbeat":
            beating.set()
            time.sleep(0.2)
        check(folder)

    with Lock(own_folder, heartbeat_seconds=BEAT):
        monkeypatch.setattr(lock_module, "check_lock", check_slowly)
        assert beating.wait(5)
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
    assert not (own_folder / "lock.json").exists()


@pytest.fixture(params=[errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def no_file_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without file locks."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_file_locks")
def test_without_file_locks_a_folder_has_one_owner_too(own_folder: Path) -> None:
    with Lock(own_folder, heartbeat_seconds=BEAT) as lock:
        with pytest.raises(RunLockedError), Lock(own_folder):
            pass
        first = read_owner(own_folder)
        wait_until(lambda: read_owner(own_folder) not in (None, first), 5)  # the heart beats
        assert not lock.lost
    assert not {path.name for path in own_folder.iterdir()} - {".lock"}


@pytest.mark.usefixtures("no_file_locks")
def test_without_hard_links_either_a_lock_is_one_line(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match=r"^\.lock: cannot be locked: [^\n]*flock[^\n]*$"), Lock(own_folder):
        pass
    assert not (own_folder / "lock.json").exists()


def test_a_lock_without_room_is_no_mistake_of_the_user(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(WriteError, match=r"^\.lock: cannot be written: No space left on device \("), Lock(own_folder):
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


@pytest.mark.parametrize("name", LOCK_FILES)
def test_a_folder_in_place_of_the_lock_is_one_line(name: str, own_folder: Path) -> None:
    (own_folder / name).mkdir()
    with pytest.raises(UserError, match=rf"^{re.escape(name)}: is not a file; move it away$"), Lock(own_folder):
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
    owner = Owner.of_this_process()
    assert owner.near
    assert process_lives(owner)
    for number in (2**22 + 1, 2**80, 0, -1):
        assert not process_lives(replace(owner, pid=number))


def test_the_first_process_of_a_container_lives() -> None:
    assert process_lives(replace(Owner.of_this_process(), pid=1, started=process_started(1)))


def test_a_process_of_another_user_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert process_lives(Owner.of_this_process())
