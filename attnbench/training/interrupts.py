"""Ctrl-C and requests to terminate, while Lightning is at work."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl


@contextmanager
def interrupts_raised(trainer: pl.Trainer) -> Iterator[None]:
    """Raise `KeyboardInterrupt` where Lightning cleans up after one and then exits with status 1."""
    try:
        yield
    except SystemExit:
        if trainer.interrupted:
            raise KeyboardInterrupt from None
        raise
