"""Notice at a run's start that its threads lack cores, and say what helps."""

import logging
import time
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from attnbench.cores import idle_seconds
from attnbench.training.hardware import Hardware

FREE_CORES = 0.25
"""With more of them idle, it is not other processes that threads wait for."""
logger = logging.getLogger(__name__)


def for_threads(hardware: Hardware) -> list[Callback]:
    """Return a watch over a run's first block, where there are several threads and the system counts idle cores."""
    watched = hardware.accelerator == "cpu" and hardware.threads > 1 and idle_seconds() is not None
    return [BusyCores(hardware.threads)] if watched else []


class BusyCores(Callback):
    """Log a line if the first block gets less than half of the cores that its threads would use.

    Args:
        threads: CPU threads that the run computes with.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.clocks: list[Clocks] = []

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if not self.clocks:
            self.clocks.append(Clocks.read())

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if len(self.clocks) > 1:
            return
        self.clocks.append(Clocks.read())
        start, end = self.clocks
        seconds = end.wall - start.wall
        line = advice(self.threads, (end.own - start.own) / seconds, (end.idle - start.idle) / seconds)
        if line and trainer.is_global_zero:
            logger.warning(line)


class Clocks(NamedTuple):
    """Seconds of the clock, of computing in this process, and of all idle cores together (0 if not known)."""

    wall: float
    own: float
    idle: float

    @classmethod
    def read(cls) -> "Clocks":
        """Read all of them now."""
        return cls(time.perf_counter(), time.process_time(), idle_seconds() or 0.0)


def advice(threads: int, cores: float, idle: float) -> str:
    """Return what to do about threads that lack cores; empty if they have them.

    Args:
        threads: CPU threads of the run.
        cores: that the run had, on average.
        idle: cores that were idle, on average.
    """
    if idle > FREE_CORES or cores > threads / 2:
        return ""
    return (
        f"slow: other processes leave this run {cores:.1f} cores, and its {threads} threads wait for each other; on a "
        "machine this busy trainer.threads=1 is many times faster (run.again=true starts again with it)"
    )
