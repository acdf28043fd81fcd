"""How worker processes pass decoded images on: through shared memory, or through pipes where there is too little.

Containers often have 64 MB of shared memory. torch reports what it cannot pass in a thread of the worker, and the
training process would wait for ever.
"""

import tempfile
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LONGEST_SOCKET = 107
"""Bytes in the path of a socket on Linux, without the final zero."""
SOCKET_NAME = len("/pymp-abcdefgh/listener-abcdefgh")
"""Bytes that `multiprocessing` adds to the folder for temporary files."""


class Failure(NamedTuple):
    """An image that could not be decoded.

    Attributes:
        member: index of the image in its split's list of files.
        reason: for messages.
        damaged: whether its bytes are damaged; otherwise they could not be read.
    """

    member: int
    reason: str
    damaged: bool


class Decoded(NamedTuple):
    """N stored images, concatenated.

    Attributes:
        pixels: (P, 3) uint8.
        shapes: (N, 4) int64, height and width, then height and width before resizing; zeros for a failure.
        failures: images that could not be decoded.
    """

    pixels: Tensor
    shapes: NDArray[np.int64]
    failures: tuple[Failure, ...] = ()


class Piped(NamedTuple):
    """`Decoded` whose pixels are pickled, not shared."""

    pixels: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    failures: tuple[Failure, ...]

    def unpack(self) -> Decoded:
        """Return what the worker decoded."""
        return Decoded(torch.from_numpy(self.pixels), self.shapes, self.failures)


def share(decoded: Decoded) -> Decoded | Piped:
    """Move pixels to shared memory, or leave them to a pipe if there is no room; runs in a worker."""
    try:
        decoded.pixels.share_memory_()
    except RuntimeError:
        return pipe(decoded)
    return decoded


def pipe(decoded: Decoded) -> Piped:
    """Leave pixels to a pipe; runs in a worker."""
    return Piped(decoded.pixels.numpy(), decoded.shapes, decoded.failures)


def can_share() -> bool:
    """Return whether the path of a socket, through which shared memory is handed over, fits into the system's limit."""
    return len(tempfile.gettempdir().encode()) + SOCKET_NAME <= LONGEST_SOCKET


def why_piped() -> str:
    """Return why pixels are not shared, and what helps."""
    if can_share():
        return "there is no room in /dev/shm (docker run --shm-size=1g makes some)"
    return f"the path of the folder for temporary files is too long for a socket; TMPDIR={tempfile.gettempdir()}"
