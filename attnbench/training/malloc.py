"""Memory of a run: its peak, and how glibc's malloc treats freed memory."""

import ctypes
import sys

import torch


def peak_memory_bytes(device_type: str) -> int | None:
    """Return the peak of the GPU's allocator, or of this process; None where the system does not report it."""
    if device_type == "cuda":
        return torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""glibc's numbers for what `mallopt` sets."""
KEPT_BYTES = 2**30
LARGEST_BYTES = (2**28, 2**25)
"""Requests above this are handed back at once; older versions of glibc allow no more than the second."""


def keep_freed_memory() -> None:
    """Make this process keep freed memory for its next allocations; do nothing where libc is not glibc.

    Otherwise each batch and each activation is requested from the system again, page by page. On a virtual machine
    without a GPU, where page faults are expensive, keeping it makes training on small images a few per cent faster, and
    cropping large images twice as fast.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    if any(mallopt(MMAP_THRESHOLD, size) for size in LARGEST_BYTES):
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
