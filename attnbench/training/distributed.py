"""Ranks and shares when several processes train one run.

torchrun and Lightning describe themselves in environment variables. Without these, this process is the only one, or
the first, which has yet to start the others.
"""

import os


def launched() -> bool:
    """Return whether torchrun or Lightning started this process as one of several for one run."""
    return "LOCAL_RANK" in os.environ


def local_rank() -> int:
    """Return this process's number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def rank(devices: int) -> int:
    """Return this process's number among all of the run, with `devices` processes on each machine."""
    node = int(os.environ.get("GROUP_RANK", os.environ.get("NODE_RANK", "0")))
    return int(os.environ.get("RANK", str(node * devices + local_rank())))


def world_size(devices: int) -> int:
    """Return the number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", str(devices)))


def is_first(devices: int) -> bool:
    """Return whether this process owns the run's folder."""
    return rank(devices) == 0
