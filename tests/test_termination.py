"""SIGTERM and SIGHUP are Ctrl-C, once; a loop that counts requests stops where it is safe."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from attnbench.termination import REQUESTS, requests_counted, stopped_by_termination


@pytest.mark.parametrize("number", REQUESTS)
def test_a_request_is_an_interrupt_once(number: int) -> None:
    before = signal.getsignal(number)
    with stopped_by_termination():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        signal.raise_signal(number)  # does not disturb what stops
    assert signal.getsignal(number) is before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopped_by_termination():
            signal.raise_signal(signal.SIGHUP)
        with requests_counted() as requests:
            signal.raise_signal(signal.SIGHUP)
        assert requests.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, *REQUESTS])
def test_requests_are_counted_until_they_are_looked_at(number: int) -> None:
    with requests_counted() as requests:
        requests.sleep(0)
        signal.raise_signal(number)
        assert requests.count == 1
        with pytest.raises(KeyboardInterrupt):
            requests.sleep(60)


def test_other_threads_set_no_handlers() -> None:
    handlers = signal.getsignal(signal.SIGTERM)
    found = []

    def use() -> None:
        with stopped_by_termination(), requests_counted():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert found == [handlers]


def test_after_the_terminal_has_closed_writing_does_no_harm() -> None:
    code = (
        "import os, pty, signal, sys; from attnbench.termination import requests_counted\n"
        "master, slave = pty.openpty(); os.dup2(slave, 1); os.close(slave)\n"
        "with requests_counted() as requests:\n"
        "    os.close(master); signal.raise_signal(signal.SIGHUP); print('to nobody', flush=True)\n"
        "sys.exit(requests.count + 2)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_error_that_a_library_makes_of_an_interrupt_is_an_interrupt(number: signal.Signals) -> None:
    """As argparse does, whose `finally` restores what it had not saved yet."""
    with pytest.raises(KeyboardInterrupt), stopped_by_termination():
        try:
            signal.raise_signal(number)
        finally:
            raise ValueError
    with pytest.raises(ValueError), stopped_by_termination():
        raise ValueError
