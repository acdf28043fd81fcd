"""Arrays as the content of a compressed `.npz` file."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np


def packed(arrays: Mapping[str, Any]) -> bytes:
    """Return the content of a file from which `numpy.load` reads these arrays."""
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()
