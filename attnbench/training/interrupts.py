"""Ctrl-C and requests to terminate, while Lightning is at work."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import pytorch_lightning as pl


@contextmanager
def stopped_by_termination() -> Iterator[None]:
    """Treat a request to terminate (from a batch system, or from the scheduler) like Ctrl-C."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def interrupts_raised(trainer: pl.Trainer) -> Iterator[None]:
    """Raise `KeyboardInterrupt` where Lightning cleans up after one and then exits with status 1."""
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
