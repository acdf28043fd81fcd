"""Memory of a run: its peak, and how glibc's malloc treats freed memory."""

import ctypes
import sys
from contextlib import suppress
from pathlib import Path

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


class MemoryMeter:
    """The peak of memory since this object was made, beyond what was in use then.

    Of the allocator of the GPU, or of this process on Linux. Freed memory that malloc keeps is handed back first, as it
    would be used again unseen.

    Args:
        on_gpu: whether the GPU's memory is meant.
    """

    def __init__(self, on_gpu: bool) -> None:
        self.on_gpu = on_gpu
        if on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self.before: int | None = torch.cuda.memory_allocated()
        else:
            self.before = _reset_peak()

    def peak_bytes(self) -> int | None:
        """Return the peak so far; None where the system does not report it."""
        peak = torch.cuda.max_memory_allocated() if self.on_gpu else _status_bytes("VmHWM")
        return None if self.before is None or peak is None else max(0, peak - self.before)


def _reset_peak() -> int | None:
    """Set the process's peak to what it uses now, and return that; None where the system has no such call."""
    with suppress(AttributeError, OSError, TypeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    except OSError:
        return None
    return _status_bytes("VmRSS")


def _status_bytes(field: str) -> int | None:
    """Return a field of /proc/self/status, in bytes; None if there is none."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) * 1024 if values else None


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
