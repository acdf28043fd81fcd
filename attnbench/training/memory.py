"""How much memory a run needed."""

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
