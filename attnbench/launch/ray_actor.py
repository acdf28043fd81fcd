"""A Ray actor that does one run of a sweep. It needs no driver: it starts the run again after a crash, and then ends.

The training itself is a process of its own, as everywhere: Ray's threads and signal handlers stay out of it.
"""

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from attnbench.exit_codes import FAILED, INTERRUPTED
from attnbench.launch.engine import GRACE_SECONDS
from attnbench.launch.processes import start_worker
from attnbench.runs.owner import OwnerWatch

LOOK_SECONDS = 0.5
FAREWELL_SECONDS = 2.0
"""Time that a driver has to hear of the end before the actor is gone."""


class RunActor:
    """Starts the worker on a job, and again if the process is killed.

    Args:
        job_file: the job.
        log_file: takes the worker's output.
        folder: the current folder of the command, which relative paths of the configuration begin at.
        retries: how often the process is started again.
    """

    def __init__(self, job_file: str, log_file: str, folder: str, retries: int) -> None:
        import ray

        self.job_file, self.log_file, self.folder, self.retries = Path(job_file), Path(log_file), folder, retries
        self.status = FAILED
        self.stopped = threading.Event()
        self.end = threading.Event()
        context = ray.get_runtime_context()
        threading.Thread(target=self._work, args=(context.current_actor,), name="work", daemon=True).start()

    def _work(self, myself: Any) -> None:
        """Do the run, then end the actor, which frees what it has reserved."""
        import ray

        try:
            for _ in range(self.retries + 1):
                self.status = self._attempt()
                if self.status >= 0 or self.stopped.is_set():
                    break
        finally:
            self.end.set()
            time.sleep(FAREWELL_SECONDS)
            ray.kill(myself)

    def _attempt(self) -> int:
        """Start the worker once no other process has the run, and return its exit status."""
        watch = OwnerWatch(self.job_file.parent)
        while watch.owner() is not None and not self.stopped.is_set():
            time.sleep(LOOK_SECONDS)
        if self.stopped.is_set():
            return INTERRUPTED
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with self.log_file.open("ab") as log:
            streams: dict[str, Any] = {"stdout": log, "stderr": subprocess.STDOUT}
            process = start_worker(self.job_file, env=environment, cwd=self.folder, **streams)
        while (status := process.poll()) is None:
            if self.stopped.is_set():
                process.interrupt()
                process.kill_after(GRACE_SECONDS)
            time.sleep(LOOK_SECONDS)
        return status

    def ended(self) -> int:
        """Wait until the run has ended, and return the worker's exit status."""
        self.end.wait()
        return self.status

    def there(self) -> bool:
        """Return that the actor has what it needs and has begun."""
        return True

    def stop(self) -> None:
        """Ask the run to stop so that it can be resumed."""
        self.stopped.set()
