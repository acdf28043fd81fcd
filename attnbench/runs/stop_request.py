"""Requests to stop what is done in a folder, for processes on any host that sees it: a file, which they look for."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attnbench.runs.files import read_json, readable, write_json

STOP_FILE = "stop.json"
LOOK_SECONDS = 1.0


def request_stop(folder: Path) -> None:
    """Ask the processes that are at work in a folder to stop; those that begin later are not meant.

    Raises:
        WriteError: the request cannot be written.
        UserError: something else is in its place.
    """
    write_json(folder / STOP_FILE, {"request": uuid.uuid4().hex})


class StopRequests:
    """Tells whether a stop was requested since this was made. folder: that the process is at work in."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / STOP_FILE
        self.known = self._read()

    def heed(self) -> None:
        """Stop this process as SIGTERM does, once for each request."""
        if (request := self._read()) not in (None, self.known):
            self.known = request
            os.kill(os.getpid(), signal.SIGTERM)

    def _read(self) -> dict[str, Any] | None:
        return readable(lambda: read_json(self.file), None)


@contextmanager
def stoppable(folder: Path) -> Iterator[None]:
    """Heed requests to stop within the context; the owner of a folder does so at each heartbeat."""
    requests, ended = StopRequests(folder), threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            requests.heed()

    thread = threading.Thread(target=look, name="stop requests", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
