"""The processes of a run on several devices: started together, watched, and stopped together.

The starter computes nothing, so it is never blocked in a reduction as its ranks may be.
"""

import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from attnbench.exit_codes import DONE, FAILED, INTERRUPTED
from attnbench.launch.engine import stop
from attnbench.launch.processes import LocalProcess, start_worker
from attnbench.runs.files import make_folder
from attnbench.runs.folder import Job, RunFolder
from attnbench.termination import requests_counted

FOLLOW_SECONDS = 10.0
"""Time in which the others of a run end by themselves after the first or a failed one has ended."""
LOOK_SECONDS = 0.2
logger = logging.getLogger(__name__)


def train_on_devices(job: Job) -> int:
    """Train a run on several devices, each with its own process, and return the exit status."""
    make_folder(job.folder)
    job_file = RunFolder(job.folder).job_file
    job.save(job_file)
    return run_ranks(job_file, int(job.config["trainer"]["devices"]))


def run_ranks(job_file: Path, devices: int) -> int:
    """Start a process for each device of a run, wait until all have ended, and return the exit status.

    Args:
        job_file: the job, which exists.
        devices: of the run.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ranks = [_start(job_file, rank, devices, listener) for rank in range(devices)]
    try:
        with requests_counted() as requests:
            while ranks[0].poll() is None and not any(rank.poll() for rank in ranks):
                requests.sleep(LOOK_SECONDS)
        _follow(ranks)
    except KeyboardInterrupt:
        stop(ranks)
        return DONE if ranks[0].poll() == DONE else INTERRUPTED
    finally:
        stop(ranks)
    return _status(ranks)


def _status(ranks: Sequence[LocalProcess]) -> int:
    """Return the exit status of a run whose processes have ended: that of the first one, which records the run."""
    first = ranks[0].poll() or DONE
    for rank, process in enumerate(ranks):
        if (status := process.poll() or DONE) < 0 and first != DONE:
            logger.error("process %d of %d was killed by signal %d", rank + 1, len(ranks), -status)
    return first if first >= 0 else FAILED


def _follow(ranks: Sequence[LocalProcess]) -> None:
    deadline = time.monotonic() + FOLLOW_SECONDS
    while any(rank.poll() is None for rank in ranks) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _start(job_file: Path, rank: int, devices: int, listener: socket.socket) -> LocalProcess:
    """Start one process; the first one gets the socket that already listens."""
    place = [f"--rank={rank}", f"--size={devices}", f"--port={listener.getsockname()[1]}"]
    passed = [] if rank else [listener.fileno()]
    return start_worker(job_file, *place, *map("--listener={}".format, passed), pass_fds=passed)
