"""How much memory a run needs, and what becomes of what it no longer needs."""

import ctypes
import sys

import torch


def peak_memory_bytes(device_type: str) -> int | None:
    """Most memory in use at once: of the GPU's allocator, or of this process. None where the system does not tell."""
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
    """Have this process keep the memory that it frees, for what comes next; does nothing where libc is not glibc.

    Else each batch and each activation is got from the system anew, page by page. On a virtual machine without a GPU,
    where a page is dear, keeping it makes training on small images a few per cent faster, and cutting views out of
    large ones twice as fast.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    if any(mallopt(MMAP_THRESHOLD, size) for size in LARGEST_BYTES):
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
