"""Notice at a run's start that its threads lack cores, and say what helps."""

import logging
import time
from threading import Timer
from typing import Any, NamedTuple

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from attnbench.cores import idle_seconds
from attnbench.training.hardware import Hardware

FREE_CORES = 0.25
"""With more of them idle, it is not other processes that threads wait for."""
EARLY_SECONDS = 10.0
"""After so much of the first block a run that lacks cores is told already: the block may take minutes."""
HALF, QUARTER = 1 / 2, 1 / 4
"""Shares of a core for each thread below which a run is told: at the end of the block, and early, while decoders of
images compute too."""
logger = logging.getLogger(__name__)


def for_threads(hardware: Hardware) -> list[Callback]:
    """Return a watch over a run's first block, where there are several threads and the system counts idle cores.

    A compiled network has none: compiling takes the first block, in processes of its own.
    """
    several = hardware.accelerator == "cpu" and hardware.threads > 1 and not hardware.compile
    return [BusyCores(hardware.threads)] if several and idle_seconds() is not None else []


class BusyCores(Callback):
    """Log a line if the first block gets less than half of the cores that its threads would use.

    If it gets less than a quarter, another thread logs the line while the block still computes.

    Args:
        threads: CPU threads that the run computes with.
        early: seconds after which that thread looks.
    """

    def __init__(self, threads: int, early: float = EARLY_SECONDS) -> None:
        self.threads, self.early = threads, early
        self.timer: Timer | None = None
        self.ended = self.told = False

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if self.timer is None and trainer.is_global_zero:
            self.start = Clocks.read()
            self.timer = Timer(self.early, self._look, [QUARTER])
            self.timer.daemon = True
            self.timer.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        if self.timer is None or self.ended:
            return
        self._stop()
        if not self.told:
            self._look(HALF)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._stop()

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def _stop(self) -> None:
        """End the other thread, after its look if that has begun."""
        self.ended = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer.join()

    def _look(self, share: float) -> None:
        now = Clocks.read()
        seconds = now.wall - self.start.wall
        own, idle = (now.own - self.start.own) / seconds, (now.idle - self.start.idle) / seconds
        if line := advice(self.threads, own, idle, share):
            logger.warning(line)
            self.told = True


class Clocks(NamedTuple):
    """Seconds of the clock, of computing in this process, and of all idle cores together (0 if not known)."""

    wall: float
    own: float
    idle: float

    @classmethod
    def read(cls) -> "Clocks":
        """Read all of them now."""
        return cls(time.perf_counter(), time.process_time(), idle_seconds() or 0.0)


def advice(threads: int, cores: float, idle: float, share: float = HALF) -> str:
    """Return what to do about threads that lack cores; empty if they have them.

    Args:
        threads: CPU threads of the run.
        cores: that the run had, on average.
        idle: cores that were idle, on average.
        share: of a core for each thread, above which they have enough.
    """
    if idle > FREE_CORES or cores > threads * share:
        return ""
    return (
        f"slow: other processes leave this run {cores:.1f} cores, and its {threads} threads wait for each other; on a "
        "machine this busy trainer.threads=1 is many times faster (run.again=true starts again with it)"
    )
