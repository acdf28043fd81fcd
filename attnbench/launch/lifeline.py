"""The lifeline of a child process: a pipe whose other end its parent holds open.

However the parent ends, SIGKILL included, the system closes its end. The child notices, stops as on Ctrl-C, so that
its run can be resumed, and does not train on unseen. The parent's death cannot be had from `prctl`, which reports the
end of the thread that started the child.
"""

import os
import select
import signal
import threading
import time

STOP_SECONDS = 10.0
"""Time in which a child may stop by itself after its parent has died."""


def watch_lifeline(descriptor: int) -> None:
    """Stop this process, and end its session, when the parent that holds the other end of a pipe has died.

    Args:
        descriptor: the pipe's end for reading; nothing is read from it.
    """
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def hung_up(descriptor: int, timeout: float | None = 0.0) -> bool:
    """Return whether nobody holds the other end of a pipe any more; wait for at most `timeout` seconds, None: for ever.

    What may have been written to the pipe is not looked at.
    """
    poll = select.poll()
    poll.register(descriptor, 0)  # without any event, only the end of the other side is reported
    return bool(poll.poll(None if timeout is None else 1000 * timeout))


def _watch(descriptor: int) -> None:
    hung_up(descriptor, None)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(128 + signal.SIGKILL)
