"""A slow first block: who is told what would help."""

from collections.abc import Iterator

import pytest
import pytorch_lightning as pl

from attnbench.training.callbacks import busy_cores
from attnbench.training.callbacks.busy_cores import BusyCores, Clocks, advice, for_threads
from attnbench.training.hardware import Hardware

LATER = 1000.0
"""Seconds after which no test runs any more."""


@pytest.mark.parametrize(
    ("threads", "cores", "idle", "told"),
    [
        (2, 0.3, 0.0, True),
        (2, 0.9, 0.2, True),
        (2, 1.9, 0.0, False),  # it has its cores
        (2, 0.3, 1.5, False),  # it waits for something else, such as a disk
        (16, 3.0, 0.1, True),
    ],
)
def test_only_a_run_that_lacks_cores_is_told(threads: int, cores: float, idle: float, told: bool) -> None:
    line = advice(threads, cores, idle)
    assert bool(line) == told
    assert ("trainer.threads=1" in line and f"{cores:.1f} cores" in line and f"its {threads} threads" in line) == told


def test_early_only_a_run_that_lacks_most_of_its_cores_is_told() -> None:
    assert advice(2, 0.3, 0.0, busy_cores.QUARTER)
    assert not advice(2, 0.9, 0.0, busy_cores.QUARTER)


@pytest.fixture
def trainer() -> pl.Trainer:
    return pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)


def show(monkeypatch: pytest.MonkeyPatch, *own: float) -> None:
    """Let a second pass between looks at the clocks, with so much time of computing; no core is idle."""
    clocks = [Clocks(float(number), sum(own[:number]), 0.0) for number in range(len(own) + 1)]
    looks: Iterator[Clocks] = iter(clocks)
    monkeypatch.setattr(Clocks, "read", lambda: next(looks))


def test_a_slow_first_block_is_told_once_while_it_computes(
    trainer: pl.Trainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    show(monkeypatch, 0.1)
    callback, module = BusyCores(2, early=0.0), pl.LightningModule()
    callback.on_train_batch_start(trainer, module)
    assert callback.timer is not None
    callback.timer.join()
    assert [record.getMessage() for record in caplog.records] == [advice(2, 0.1, 0.0)]
    for _ in range(2):
        callback.on_train_batch_end(trainer, module)
        callback.on_train_batch_start(trainer, module)
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("early", "end", "lines"), [(0.9, 0.9, 1), (0.9, 1.9, 0)])
def test_at_the_end_of_the_block_it_takes_less_to_be_told(
    early: float,
    end: float,
    lines: int,
    trainer: pl.Trainer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    show(monkeypatch, early, end)
    callback, module = BusyCores(2, early=0.0), pl.LightningModule()
    callback.on_train_batch_start(trainer, module)
    assert callback.timer is not None
    callback.timer.join()
    assert not caplog.records
    callback.on_train_batch_end(trainer, module)
    assert len(caplog.records) == lines


def test_no_thread_outlives_the_block_or_its_failure(
    trainer: pl.Trainer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    show(monkeypatch, 0.1)
    ended, failed, module = BusyCores(2, LATER), BusyCores(2, LATER), pl.LightningModule()
    ended.on_train_batch_start(trainer, module)
    ended.on_train_batch_end(trainer, module)
    assert len(caplog.records) == 1  # as at the end of any slow block
    show(monkeypatch)
    failed.on_train_batch_start(trainer, module)
    failed.on_exception(trainer, module, KeyboardInterrupt())
    for callback in (ended, failed):
        assert callback.timer is not None
        assert not callback.timer.is_alive()


@pytest.mark.parametrize(
    ("accelerator", "threads", "compiled", "watched"),
    [("cpu", 2, False, True), ("cpu", 1, False, False), ("cpu", 2, True, False), ("gpu", 2, False, False)],
)
def test_only_runs_whose_threads_may_wait_for_each_other_are_watched(
    accelerator: str, threads: int, compiled: bool, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(busy_cores, "idle_seconds", lambda: 0.0)
    hardware = Hardware(accelerator, 1, "any", "fp32", False, threads, 64, compile=compiled)
    assert bool(for_threads(hardware)) == watched
