"""How busy this machine's cores are, and how threads that compute together wait for each other."""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""A user who sets one of them has decided how OpenMP's threads wait."""


def idle_seconds(stat: Path = Path("/proc/stat")) -> float | None:
    """Return how long all cores together have been idle since the system started; None where it does not say."""
    try:
        counters = stat.read_text(encoding="ascii").partition("\n")[0].split()
    except OSError:
        return None
    return (int(counters[4]) + int(counters[5])) / os.sysconf("SC_CLK_TCK")  # idle, and idle while a disk works


def idle_cores(seconds: float) -> float | None:
    """Sleep, and return how many cores were idle meanwhile, on average; None where the system does not say."""
    before, started = idle_seconds(), time.perf_counter()
    time.sleep(seconds)
    after, elapsed = idle_seconds(), time.perf_counter() - started
    return None if before is None or after is None else (after - before) / elapsed


def choose_wait_policy(variables: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep while they wait for each other if the machine is busy and the user has not decided.

    By default they spin, which is fastest where each has a core. On a busy machine a thread spins for another that
    does not run. OpenMP reads the variable once, when torch is imported; child processes inherit it.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > (os.cpu_count() or 1) and not any(name in variables for name in WAIT_VARIABLES):
        variables["OMP_WAIT_POLICY"] = "passive"
