"""A miniature of MNIST, in its own format."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from attnbench.data.sets import mnist

SIZES = {"train": 120, "t10k": 50}


def idx(array: np.ndarray) -> bytes:
    """A uint8 array in idx format: two zeros, 8 for uint8, the number of axes, each axis' length, the bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def miniature_mnist(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with 120 + 50 images of noise in the bounds of 28x28; their checksums replace the published ones."""
    folder, generator = own_folder / "sets" / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for part, count in SIZES.items():
        arrays = {
            f"{part}-images-idx3-ubyte": generator.integers(0, 256, (count, 28, 28), dtype=np.uint8),
            f"{part}-labels-idx1-ubyte": (np.arange(count) % 10).astype(np.uint8),
        }
        for name, array in arrays.items():
            (folder / name).write_bytes(idx(array))
            monkeypatch.setitem(mnist.FILES, name, hashlib.md5(idx(array)).hexdigest())
    return own_folder / "sets"
