"""Internals of Lightning and torch that training depends on; a test fails when they change."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread
from torch import Tensor


def count_optimizer_steps(trainer: pl.Trainer, steps: int) -> None:
    """Advance Lightning's step counter, which a raw optimiser leaves at 0; no checkpoint is written at 0."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for counts in (progress.total, progress.current):
        counts.ready += steps
        counts.completed += steps


def event_file_writer(logger: TensorBoardLogger) -> Any:
    """Return the writer of protocol buffers behind a TensorBoard logger."""
    return logger.experiment._get_file_writer()


def copy_all(targets: Sequence[Tensor], sources: Sequence[Tensor]) -> None:
    """Copy tensors into others by one call for all."""
    torch._foreach_copy_(list(targets), list(sources))


@contextmanager
def event_errors_raised_once() -> Iterator[None]:
    """Print no traceback from the thread that writes event files: the next write elsewhere raises its error."""
    default = threading.excepthook

    def report(arguments: threading.ExceptHookArgs) -> None:
        if not isinstance(arguments.thread, _AsyncWriterThread):
            default(arguments)

    threading.excepthook = report
    try:
        yield
    finally:
        threading.excepthook = default
