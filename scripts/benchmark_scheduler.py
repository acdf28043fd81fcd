"""Measure what an engine adds to the runs of a sweep, and simulate a large sweep with it.

    python scripts/benchmark_scheduler.py                # processes on this machine
    python scripts/benchmark_scheduler.py local ray      # and a Ray runtime on this machine
    python scripts/benchmark_scheduler.py slurm          # the cluster of SLURM_CONF
    python scripts/benchmark_scheduler.py --runs 2 --sleep 1   # a short trial

Eight runs on two slots each train a tiny network for an epoch and then sleep, so the ideal makespan is known. What a
run costs beyond its sleep is its overhead: importing, building, data, the epoch itself, recording, and its share of the
engine's processes. It is given in CPU time, which a machine that others use does not change much, and in time on the
run's slot, which follows from the makespan.
The scheduler's own work for a run is measured with an engine whose jobs end at once. 1,000 runs on 64 devices are
simulated with both.
"""

import argparse
import heapq
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from attnbench.config.validate import RunConfig
from attnbench.launch.scheduler import Scheduler
from attnbench.runs.job import Job

SLOTS = 2
MANY, DEVICES = 1000, 64
MINUTES = (5.0, 30.0)
"""Shortest and longest of the simulated runs."""
MARK = "ATTNBENCH_BENCHMARK"
"""Variable by which processes are recognised, whoever has started them."""
LOOK_SECONDS = 0.5
ENGINES = ("local", "slurm", "ray")
CALLBACK = """
import time
from pytorch_lightning.callbacks import Callback

class Sleep(Callback):
    def __init__(self, seconds):
        self.seconds = seconds

    def on_train_end(self, trainer, pl_module):
        time.sleep(self.seconds)
"""
WORDS = ("data=digits", "backbone.width=2", "recipe.epochs=1", "trainer.threads=1", "callbacks=sleep")


@dataclass
class Ended:
    """A process that has ended well."""

    reason = waits_for = ""

    def poll(self) -> int:
        return 0

    def interrupt(self) -> None:
        """Do nothing."""

    def kill_after(self, seconds: float) -> None:
        """Do nothing."""


@dataclass
class InstantEngine:
    """An engine whose jobs end at once."""

    slots: int
    gpus: int = 0
    detaches: bool = False

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> Ended:
        return Ended()

    def submit(self) -> None:
        """Do nothing."""


def main() -> None:
    """Measure the engines and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("engines", nargs="*", choices=[*ENGINES, []], default=["local"])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--sleep", type=float, default=20.0, help="seconds that each run sleeps")
    arguments = parser.parse_args()
    runs, own = arguments.runs, scheduler_seconds()
    print(f"the scheduler's own work: {1000 * own:.1f} ms of CPU time a run")
    ideal = math.ceil(runs / SLOTS) * arguments.sleep
    for engine in arguments.engines:
        makespan, cpu = measure(engine, runs, arguments.sleep)
        print(f"{engine}: {runs} runs on {SLOTS} slots in {makespan:.0f} s, ideally {ideal:.0f} s")
        on_slot = (makespan - ideal) / math.ceil(runs / SLOTS)
        print(f"  overhead of a run: {cpu / runs:.1f} s of CPU time, {on_slot:.1f} s on its slot")
        whole, least = simulate(cpu / runs, own), simulate(0.0, 0.0)
        share = f"{whole / least - 1:.1%} more than without overhead"
        print(f"  simulated: {MANY} runs on {DEVICES} devices in {whole / 60:.0f} min, {share}")


def measure(engine: str, runs: int, sleep: float) -> tuple[float, float]:
    """Return the makespan of runs on an engine, and the CPU time of all processes that take part.

    Args:
        engine: one of `ENGINES`.
        runs: how many.
        sleep: seconds that each one sleeps.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "own" / "callbacks").mkdir(parents=True)
        config = f"sleep: {{_target_: sleeping.Sleep, seconds: {sleep}}}\n"
        (folder / "own" / "callbacks" / "sleep.yaml").write_text(config)
        (folder / "sleeping.py").write_text(CALLBACK)
        command = [sys.executable, "-m", "attnbench", "train", "-m", "--config-dir", "own", *WORDS]
        command += [f"seed=range({runs})", f"sweep.jobs={SLOTS}", f"launch={engine}"]
        spent: dict[str, float] = {}
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, MARK: name})
        while process.poll() is None:
            spent.update(cpu_seconds(f"{MARK}={name}".encode()))
            time.sleep(LOOK_SECONDS)
        if process.returncode:
            raise SystemExit(f"{engine}: the sweep ended with status {process.returncode}")
        return time.monotonic() - began, sum(spent.values())


def cpu_seconds(mark: bytes) -> Iterator[tuple[str, float]]:
    """Yield the processes that inherited a mark in their environment, each with its CPU time so far."""
    ticks = os.sysconf("SC_CLK_TCK")
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):  # it has just ended
            if mark in (place / "environ").read_bytes():
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                yield f"{place.name} {fields[19]}", (int(fields[11]) + int(fields[12])) / ticks


def scheduler_seconds() -> float:
    """Return the CPU time that the scheduler spends on a run."""
    with tempfile.TemporaryDirectory() as name:
        values = {"trainer": {"devices": 1}, "run": {"again": False}}
        folder = Path(name) / "runs" / "x"
        jobs = [Job(RunConfig({**values, "seed": seed}, {}, {}), "x", folder / f"seed{seed}") for seed in range(MANY)]
        began = time.process_time()
        Scheduler(jobs, InstantEngine(DEVICES)).run()
        return (time.process_time() - began) / MANY


def simulate(overhead: float, own: float) -> float:
    """Return the makespan of many runs on many devices in seconds.

    Args:
        overhead: of each run, on its device.
        own: time that the scheduler spends on each run, one after the other.
    """
    draw = random.Random(0)
    free, scheduler = [0.0] * DEVICES, 0.0
    for _ in range(MANY):
        scheduler = max(scheduler, heapq.heappop(free)) + own
        heapq.heappush(free, scheduler + overhead + 60 * draw.uniform(*MINUTES))
    return max(free)


if __name__ == "__main__":
    main()
