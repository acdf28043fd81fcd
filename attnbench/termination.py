"""Requests to end a process: Ctrl-C, SIGTERM of a batch system or `kill`, and SIGHUP of a terminal that closes.

All three mean the same to attnbench: stop, so that the same command continues later.
"""

import os
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

REQUESTS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that are treated like Ctrl-C; Windows has no SIGHUP."""
LOOK_SECONDS = 0.1


def heed_requests() -> None:
    """Raise `KeyboardInterrupt` at the next SIGTERM or SIGHUP.

    A signal that is ignored, as SIGHUP under `nohup`, stays ignored. Only the main thread can set handlers; in another
    one this does nothing.
    """
    if in_main_thread():
        for number in REQUESTS:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _interrupt)


@contextmanager
def stopped_by_termination() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP like Ctrl-C within the context, and restore all handlers after it.

    Raises:
        KeyboardInterrupt: also in place of an error that a library makes of one when it tidies up after it.
    """
    if not in_main_thread():
        yield
        return
    with _handlers_restored():
        heed_requests()
        try:
            yield
        except Exception as error:
            if _follows_interrupt(error):
                raise KeyboardInterrupt from error
            raise


def _follows_interrupt(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


class Requests:
    """Counts the requests to end, for a loop that stops only where it is safe."""

    count = 0

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if there was a request."""
        if self.count:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise `KeyboardInterrupt` soon after a request."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, LOOK_SECONDS))
        self.check()


@contextmanager
def requests_ignored() -> Iterator[None]:
    """Ignore SIGTERM and SIGHUP within the context, where the process is stopping already; Ctrl-C still interrupts."""
    if not in_main_thread():
        yield
        return
    with _handlers_restored():
        for number in REQUESTS:
            signal.signal(number, signal.SIG_IGN)
        yield


@contextmanager
def requests_counted() -> Iterator[Requests]:
    """Count Ctrl-C, SIGTERM and SIGHUP within the context instead of raising at once."""
    requests = Requests()

    def count(number: int, frame: FrameType | None) -> None:
        _leave_closed_terminal(number)
        requests.count += 1

    if not in_main_thread():
        yield requests
        return
    with _handlers_restored():
        for number in (signal.SIGINT, *REQUESTS):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, count)
        yield requests


def in_main_thread() -> bool:
    """Return whether this thread may set signal handlers."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def _handlers_restored() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *REQUESTS)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            _set_if_known(number, handler)


def _set_if_known(number: int, handler: Callable[[int, FrameType | None], object] | int | None) -> None:
    if handler is not None:  # None: it was not set from Python
        signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Raise `KeyboardInterrupt`, once: a closing terminal sends SIGHUP twice, and what stops must not be disturbed."""
    signal.signal(number, signal.SIG_IGN)
    _leave_closed_terminal(number)
    raise KeyboardInterrupt


def _leave_closed_terminal(number: int) -> None:
    """After SIGHUP, write to nowhere instead of a terminal that is gone, where every write fails."""
    if signal.Signals(number).name != "SIGHUP":
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            os.dup2(nowhere, descriptor)
    os.close(nowhere)
