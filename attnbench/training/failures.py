"""Why training stops before its end, in one line."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from attnbench.formatting import big
from attnbench.runs.disk import FULL, WriteError, refusal
from attnbench.runs.files import shown
from attnbench.runs.job import Job

if TYPE_CHECKING:  # importing torch takes seconds
    from torch import nn

NO_MEMORY = ("can't allocate memory", "out of memory", "std::bad_alloc", "_STATUS_ALLOC_FAILED")
"""Parts of the messages with which torch's CPU allocator and the devices' libraries report that memory is used up."""
SMALLER_NETWORK = "a smaller network needs less"
ONE_VALUE = "Expected more than 1 value per channel when training"
"""Part of the message of torch's batch normalisation for a single image whose map is of one pixel."""


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
    if ONE_VALUE in str(error):
        size = job.config["data"]["batch_size"]
        return f"data.batch_size={size}: a batch of one image: this network's batch normalisation needs at least two"
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
    smaller = f"data.batch_size={batch_size // 2} needs about half as much" if batch_size > 1 else SMALLER_NETWORK
    return f"out of memory with data.batch_size={batch_size}: {smaller}{_said(error)}"


@contextmanager
def memory_for(network: "nn.Module") -> Iterator[None]:
    """Raise `TrainingError` where there is no memory for a network's weights, whatever the batch size.

    Args:
        network: on the meta device.
    """
    try:
        yield
    except (MemoryError, RuntimeError, OSError) as error:
        if not out_of_memory(error):
            raise
        count = sum(parameter.numel() for parameter in network.parameters())
        reason = f"out of memory for the network's {big(count)} parameters"
        raise TrainingError(f"{reason}: {SMALLER_NETWORK}{_said(error)}") from error


def _said(error: BaseException) -> str:
    """Return the first line of an error's message, in parentheses; empty without a message."""
    said = next(iter(str(error).splitlines()), "").rpartition("] ")[2]
    return f" ({said})" if said else ""
