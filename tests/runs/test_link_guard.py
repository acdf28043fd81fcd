"""The guard of folders without file locks: one holder at a time, and a dead one keeps nobody out."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.runs.files import write_json
from attnbench.runs.link_guard import GUARD_FILE, LinkGuard
from attnbench.runs.owner import Owner, OwnerWatch, read_owner

BEAT = 0.02
Write = Callable[..., Owner]


@pytest.fixture
def write(own_folder: Path) -> Write:
    """Write the guard of another process."""

    def written(**changes: object) -> Owner:
        owner = replace(Owner.of_this_process(), **changes)  # type: ignore[arg-type]
        write_json(own_folder / GUARD_FILE, owner.to_json())
        return owner

    return written


def test_one_holds_it_at_a_time(own_folder: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    def hold(number: int) -> None:
        guard = LinkGuard(own_folder)
        guard.acquire()
        inside.append(number)
        most.append(len(inside))
        time.sleep(0.005)
        inside.remove(number)
        guard.release()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(12)))
    assert most == [1] * 12
    assert not list(own_folder.iterdir())


@pytest.mark.parametrize(
    "dead", [{"pid": 2**22 + 1}, {"started": "1"}, {"host": "elsewhere"}, {"system": "another boot"}]
)
def test_the_guard_of_a_dead_process_is_broken(dead: dict[str, object], write: Write, own_folder: Path) -> None:
    write(**dead)
    LinkGuard(own_folder, BEAT).acquire()
    owner = read_owner(own_folder, GUARD_FILE)
    assert owner is not None and owner.process == Owner.of_this_process().process
    assert [path.name for path in own_folder.iterdir()] == [GUARD_FILE]


def test_a_living_one_on_another_host_is_waited_for(write: Write, own_folder: Path) -> None:
    write(host="elsewhere")
    guard = LinkGuard(own_folder, beat=60)
    with ThreadPoolExecutor(1) as pool:
        acquired = pool.submit(guard.acquire)
        time.sleep(0.2)
        assert not acquired.done()
        (own_folder / GUARD_FILE).unlink()
        acquired.result(timeout=10)


def test_a_guard_that_another_one_has_just_taken_is_put_back(write: Write, own_folder: Path) -> None:
    write(pid=2**22 + 1)
    watch = OwnerWatch(own_folder, BEAT, GUARD_FILE)
    assert watch.owner() is None
    taken = write(host="elsewhere")  # by another one, who found the same
    LinkGuard(own_folder, BEAT)._break(watch)
    assert read_owner(own_folder, GUARD_FILE) == taken
    assert [path.name for path in own_folder.iterdir()] == [GUARD_FILE]


def test_a_damaged_guard_is_broken(own_folder: Path) -> None:
    (own_folder / GUARD_FILE).write_text("{")
    LinkGuard(own_folder, BEAT).acquire()
    assert read_owner(own_folder, GUARD_FILE) is not None
