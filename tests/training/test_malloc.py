"""The C library is asked to keep freed memory, in the values that it accepts."""

import ctypes
import platform
from collections.abc import Callable

import pytest

from attnbench.training.malloc import KEPT_BYTES, LARGEST_BYTES, MMAP_THRESHOLD, TRIM_THRESHOLD, keep_freed_memory

Call = tuple[int, int]


class Libc:
    """A C library whose `mallopt` notes each call, by parameter and value, with its answer: 1 if it is accepted."""

    def __init__(self, answer: Callable[[int, int], int]) -> None:
        self.answer = answer
        self.answers: dict[Call, int] = {}

    def mallopt(self, parameter: int, value: int) -> int:
        self.answers[parameter, value] = self.answer(parameter, value)
        return self.answers[parameter, value]


def asked(monkeypatch: pytest.MonkeyPatch, answer: Callable[[int, int], int]) -> dict[Call, int]:
    """Return what a C library is asked for, and what it answered."""
    libc = Libc(answer)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: libc)
    keep_freed_memory()
    return libc.answers


FIRST, SECOND = ((MMAP_THRESHOLD, size) for size in LARGEST_BYTES)
TRIM = (TRIM_THRESHOLD, KEPT_BYTES)


def test_memory_up_to_the_largest_size_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(asked(monkeypatch, lambda parameter, value: 1)) == [FIRST, TRIM]


def test_older_versions_of_glibc_get_the_largest_size_that_they_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = asked(monkeypatch, lambda parameter, value: int(value != LARGEST_BYTES[0]))
    assert list(answers) == [FIRST, SECOND, TRIM]


def test_a_library_that_accepts_no_size_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(asked(monkeypatch, lambda parameter, value: 0)) == [FIRST, SECOND]


@pytest.mark.parametrize("error", [OSError, TypeError, AttributeError])
def test_without_glibc_nothing_happens(error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: None) -> None:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no such call")
def test_this_glibc_accepts_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = asked(monkeypatch, ctypes.CDLL(None).mallopt)
    assert answers.pop(FIRST, 1) or answers.pop(SECOND)
    assert answers[TRIM]
