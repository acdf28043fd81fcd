"""Why training stops before its end, in one line."""

import errno

from attnbench.runs.disk import FULL, WriteError, refusal
from attnbench.runs.files import shown
from attnbench.runs.job import Job

NO_MEMORY = ("can't allocate memory", "out of memory", "std::bad_alloc", "_STATUS_ALLOC_FAILED")
"""Parts of the messages with which torch's CPU allocator and the devices' libraries report that memory is used up."""


class TrainingError(RuntimeError):
    """Training cannot continue; the message says why and what may help."""


class DivergedError(TrainingError):
    """Loss or weights are not finite any more; the message says in which epoch and step, and where it began."""


def explain(error: BaseException, job: Job) -> str | None:
    """Return in one line why a run failed and what helps; None if only a traceback says it.

    Args:
        error: what ended the run.
        job: the run.
    """
    if isinstance(error, TrainingError | WriteError):
        return str(error)
    if out_of_memory(error):
        return memory_line(error, int(job.config["data"]["batch_size"]))
    if isinstance(error, OSError) and error.errno in FULL:  # of a logger, or of a folder for temporary files
        return refusal(error.filename or shown(job.folder), job.folder, error)
    return None


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no more memory, on a device or on the host."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # this module needs no torch
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)


def memory_line(error: BaseException, batch_size: int) -> str:
    """Return in one line that memory is used up, and what needs less.

    Args:
        error: that says so; its first line gives the amount that could not be had.
        batch_size: images of a batch, over all devices.
    """
    smaller = f"data.batch_size={batch_size // 2} needs about half as much" if batch_size > 1 else "a smaller network"
    line = f"out of memory with data.batch_size={batch_size}: {smaller}"
    said = next(iter(str(error).splitlines()), "").rpartition("] ")[2]
    return f"{line} ({said})" if said else line
