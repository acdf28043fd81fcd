"""How busy this machine's cores are, and how threads that compute together wait for each other."""

import os
import time
from collections.abc import Mapping, MutableMapping
from pathlib import Path

WAIT_VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""A user who sets one of them has decided how OpenMP's threads wait."""

SHARE_VARIABLE = "ATTNBENCH_THREADS"
"""A job's share of the cores, beside OMP_NUM_THREADS of the same number, which a user has not set then."""


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


def shared_threads(variables: Mapping[str, str], number: int) -> dict[str, str]:
    """Return the variables that give a job its share of the cores; none where the user has set OMP_NUM_THREADS."""
    given = "OMP_NUM_THREADS" in variables
    return {} if given else {name: str(number) for name in ("OMP_NUM_THREADS", SHARE_VARIABLE)}


def threads_are_set(variables: Mapping[str, str]) -> bool:
    """Return whether it was the user who set OMP_NUM_THREADS, and not this package for one of its jobs."""
    return "OMP_NUM_THREADS" in variables and variables["OMP_NUM_THREADS"] != variables.get(SHARE_VARIABLE)


def choose_wait_policy(variables: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep while they wait for each other if the machine is busy and the user has not decided.

    By default they spin, which is fastest where each has a core. On a busy machine a thread spins for another that
    does not run. OpenMP reads the variable once, when torch is imported; child processes inherit it.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > (os.cpu_count() or 1) and not any(name in variables for name in WAIT_VARIABLES):
        variables["OMP_WAIT_POLICY"] = "passive"
