"""Image decoding in worker processes, ahead of use and in the order of the requests."""

import atexit
import contextlib
import logging
import os
import signal
import sys
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import AuthenticationError
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from attnbench.data.loaders.passing import Decoded, Failure, Piped, can_share, pipe, share, why_piped
from attnbench.data.sources.image_files import Images
from attnbench.data.splits import Split
from attnbench.data.transforms.decode import DecodeError, Stored, StoredFormat, decode

CHUNK = 32
"""Images in one task: few enough that all workers share a batch and that buffers stay in the processor's caches."""
STOP_TIMEOUT_SECONDS = 15
"""How long a worker that received SIGTERM waits for its parent to end it."""
MAX_WORKERS = 16
"""More workers decode faster than one GPU trains the usual ImageNet networks."""

logger = logging.getLogger(__name__)


class Request(NamedTuple):
    """A request for images of a split, given by their indices (N,) in its list of files."""

    split: Split
    members: NDArray[np.int64]


class Decoder(Dataset[Decoded]):
    """Decodes the images of requests; runs in worker processes."""

    def __init__(self, sources: Mapping[Split, Images], form: StoredFormat) -> None:
        self.sources, self.form = dict(sources), form

    def __getitem__(self, request: Request) -> Decoded:
        failures: list[Failure] = []
        images = [self._decode(request.split, int(member), failures) for member in request.members]
        shapes = np.array([stored.shape for stored in images], np.int64)
        return Decoded(concatenate_pixels([stored.pixels.reshape(-1, 3) for stored in images]), shapes, tuple(failures))

    def _decode(self, split: Split, member: int, failures: list[Failure]) -> Stored:
        try:
            images = self.sources[split]
            return decode(images.read(member), self.form, images.crop(member))
        except (DecodeError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            failures.append(Failure(member, reason or str(error), isinstance(error, DecodeError)))
            return Stored(np.empty((0, 0, 3), np.uint8), 0, 0)


def concatenate_pixels(parts: Sequence[NDArray[np.uint8]], pinned: bool = False) -> Tensor:
    """Concatenate the pixels of images to (P, 3), in page-locked memory if they are copied to a GPU from here."""
    pixels = torch.empty((sum(map(len, parts)), 3), dtype=torch.uint8, pin_memory=pinned)
    if parts:
        np.concatenate(parts, out=pixels.numpy())
    return pixels


class RequestSampler:
    """The sampler of the workers' `DataLoader`; its requests are replaced for each stream."""

    def __init__(self) -> None:
        self.requests: Sequence[Request] = ()

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


class DecodeWorkers:
    """Worker processes that decode requests in their order.

    Only one stream is open at a time, because streams share the workers: a new one ends the one before.

    Args:
        decoder: what each worker runs.
        workers: number of processes; 0 decodes in this one.
        ahead: minimum number of images decoded ahead of use.
        pinned: whether results are in page-locked memory.

    Attributes:
        images: number of images decoded so far.
        stream_number: number of the open stream.
    """

    def __init__(self, decoder: Decoder, workers: int, ahead: int, pinned: bool = False) -> None:
        self.decoder, self.pinned = decoder, pinned
        self.images = self.stream_number = 0
        self._at_exit = self._piped = False
        self._sampler = RequestSampler()
        self._loader = self._make_loader(workers, ahead) if workers else None

    def _make_loader(self, workers: int, ahead: int) -> DataLoader[Decoded]:
        passed: Any = share if can_share() else pipe  # its type expects a list
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about more workers than cores, which is the user's choice
            return DataLoader(
                self.decoder,
                batch_size=None,
                sampler=self._sampler,
                collate_fn=passed,
                num_workers=workers,
                prefetch_factor=max(2, -(-ahead // (CHUNK * workers))),
                persistent_workers=True,
                pin_memory=self.pinned,
                worker_init_fn=leave_signals_to_the_parent,
                generator=torch.Generator(),  # the default generator is the one that dropout uses
            )

    def stream(self, requests: Sequence[Request]) -> Iterator[Decoded]:
        """Start to decode requests and yield the results in their order; this ends any earlier stream."""
        self.stream_number += 1
        return self._stream(requests, self.stream_number)

    def _stream(self, requests: Sequence[Request], number: int) -> Iterator[Decoded]:
        self._check(number)
        self._sampler.requests = requests
        chunks = map(self.decoder.__getitem__, requests) if self._loader is None else self._start(self._loader)
        for chunk in chunks:
            self._check(number)
            self.images += len(chunk.shapes)
            yield self._unpacked(chunk)

    def _unpacked(self, chunk: Decoded | Piped) -> Decoded:
        if isinstance(chunk, Decoded):
            return chunk
        if not self._piped:
            self._piped = True
            logger.warning("workers pass images through pipes, which is slower: %s", why_piped())
        return chunk.unpack()

    def _check(self, number: int) -> None:
        if number != self.stream_number:
            raise RuntimeError("another stream of these workers was opened")

    def _start(self, loader: DataLoader[Decoded]) -> Iterator[Decoded]:
        with signals_blocked():
            iterator = iter(loader)
        if not self._at_exit:
            self._at_exit = True
            atexit.register(_close, weakref.ref(self))  # runs before torch's own, which waits for each worker in turn
        return iterator

    def close(self) -> None:
        """End all workers at once."""
        iterator: Any = getattr(self._loader, "_iterator", None)
        self.stream_number += 1
        if iterator is None or self._loader is None:
            return
        self._loader._iterator = None
        # torch has no public method; deleting the iterator would leave this to the garbage collector
        iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():  # blocked in a read, where SIGTERM has no effect
                worker.kill()


def _close(reference: "weakref.ref[DecodeWorkers]") -> None:
    workers = reference()
    if workers is not None:
        workers.close()


def leave_signals_to_the_parent(worker: int) -> None:
    """Let the training process handle signals; runs in each worker at its start.

    Ctrl-C and a batch system's SIGTERM reach every process of a run. The training process ends its workers; if it is
    killed, they notice and end by themselves. After SIGTERM, a worker waits `STOP_TIMEOUT_SECONDS` for its parent.
    """
    sys.excepthook = report_unless_the_parent_left
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(STOP_TIMEOUT_SECONDS))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def report_unless_the_parent_left(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error that nothing caught, except that the training process ended while it fetched images.

    The thread that serves `multiprocessing`'s shared memory in a worker reports this, too.
    """
    if not issubclass(kind, EOFError | ConnectionError | AuthenticationError):
        sys.__excepthook__(kind, error, trace)


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Block signals within the context: a worker that is just starting would print a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def automatic_workers(device_type: str, processes: int) -> int:
    """Return the number of workers for one process of a run: its share of the cores, or half of it on a CPU."""
    threads = torch.get_num_threads()  # set by the scheduler or `trainer.threads`
    if device_type == "cpu":
        return max(1, min(MAX_WORKERS, threads // 2))
    cores = min(threads, os.cpu_count() or 1)
    return max(1, min(MAX_WORKERS, cores // processes))
