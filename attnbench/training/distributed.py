"""Several processes on one run: who is first, and which share is whose.

torchrun and Lightning describe themselves in environment variables; without them, this process is the only one, or
the first, which has yet to start the others.
"""

import os


def launched() -> bool:
    """Whether this process is one of several that torchrun or Lightning started for one run."""
    return "LOCAL_RANK" in os.environ


def local_rank() -> int:
    """Number of this process on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def rank(devices: int) -> int:
    """Number of this process among all of the run, with `devices` of them on each machine."""
    node = int(os.environ.get("GROUP_RANK", os.environ.get("NODE_RANK", "0")))
    return int(os.environ.get("RANK", str(node * devices + local_rank())))


def world_size(devices: int) -> int:
    """Number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", str(devices)))


def is_first(devices: int) -> bool:
    """Whether this process owns the run's folder."""
    return rank(devices) == 0
