"""Decoding images in worker processes, ahead of their use and in the order they are asked for."""

import atexit
import contextlib
import os
import signal
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from attnbench.data.sources.image_files import Images
from attnbench.data.splits import Split
from attnbench.data.transforms.decode import DecodeError, Stored, StoredFormat, decode

CHUNK = 32
"""Images decoded as one task: small enough that all workers share in a batch, and that its buffer stays in caches."""
PATIENCE_SECONDS = 15
"""A worker that was asked to stop gives its parent so long to end it in good order."""
MOST_WORKERS = 16
"""More decode faster than one GPU trains ImageNet's usual networks."""


class Request(NamedTuple):
    """Images of a split, by their places in its list of files (N,)."""

    split: Split
    members: NDArray[np.int64]


class Failure(NamedTuple):
    """An image that could not be had. damaged: its bytes are at fault; else they could not even be read."""

    member: int
    reason: str
    damaged: bool


class Decoded(NamedTuple):
    """Stored forms, one after another.

    pixels: (P, 3) uint8. shapes: (N, 4) int64, height and width, then those of the image before it was resized; zeros
    for a failure.
    """

    pixels: Tensor
    shapes: NDArray[np.int64]
    failures: tuple[Failure, ...] = ()


class Decoder(Dataset[Decoded]):
    """Answers requests by decoding files; what a worker process runs."""

    def __init__(self, sources: Mapping[Split, Images], form: StoredFormat) -> None:
        self.sources, self.form = dict(sources), form

    def __getitem__(self, request: Request) -> Decoded:
        failures: list[Failure] = []
        images = [self._decode(request.split, int(member), failures) for member in request.members]
        shapes = np.array([stored.shape for stored in images], np.int64)
        return Decoded(joined([stored.pixels.reshape(-1, 3) for stored in images]), shapes, tuple(failures))

    def _decode(self, split: Split, member: int, failures: list[Failure]) -> Stored:
        try:
            images = self.sources[split]
            return decode(images.read(member), self.form, images.crop(member))
        except (DecodeError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            failures.append(Failure(member, reason or str(error), isinstance(error, DecodeError)))
            return Stored(np.empty((0, 0, 3), np.uint8), 0, 0)


def joined(parts: Sequence[NDArray[np.uint8]], pinned: bool = False) -> Tensor:
    """Pixels (P, 3) of images, one after another; in page-locked memory if they are to go to a GPU from here."""
    whole = torch.empty((sum(map(len, parts)), 3), dtype=torch.uint8, pin_memory=pinned)
    if parts:
        np.concatenate(parts, out=whole.numpy())
    return whole


class Tasks:
    """The requests that workers are to answer next: a sampler that is told its order anew for each epoch."""

    def __init__(self) -> None:
        self.requests: Sequence[Request] = ()

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.requests)


class DecodeWorkers:
    """Decodes requests in their order, in `workers` processes, or with 0 in this one.

    ahead: images to be decoded ahead of their use, at least. pinned: results in page-locked memory.
    `images` counts what has been decoded. `ticket` tells which of the streams is the one that goes on: a stream that
    is opened ends the one before, as they share the workers.
    """

    def __init__(self, decoder: Decoder, workers: int, ahead: int, pinned: bool = False) -> None:
        self.decoder, self.pinned = decoder, pinned
        self.images = self.ticket = 0
        self._at_exit = False
        self._tasks = Tasks()
        self._loader = self._make_loader(workers, ahead) if workers else None

    def _make_loader(self, workers: int, ahead: int) -> DataLoader[Decoded]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # more workers than cores are the user's wish
            return DataLoader(
                self.decoder,
                batch_size=None,
                sampler=self._tasks,
                collate_fn=unchanged,
                num_workers=workers,
                prefetch_factor=max(2, -(-ahead // (CHUNK * workers))),
                persistent_workers=True,
                pin_memory=self.pinned,
                worker_init_fn=leave_signals_to_the_parent,
                generator=torch.Generator(),  # else each epoch would draw from the one that dropout draws from
            )

    def stream(self, requests: Sequence[Request]) -> Iterator[Decoded]:
        """Open a stream of answers, and end the one before."""
        self.ticket += 1
        return self._stream(requests, self.ticket)

    def _stream(self, requests: Sequence[Request], ticket: int) -> Iterator[Decoded]:
        self._check(ticket)
        self._tasks.requests = requests
        answers = map(self.decoder.__getitem__, requests) if self._loader is None else self._start(self._loader)
        for answer in answers:
            self._check(ticket)
            self.images += len(answer.shapes)
            yield answer

    def _check(self, ticket: int) -> None:
        if ticket != self.ticket:
            raise RuntimeError("another stream of these workers was opened")

    def _start(self, loader: DataLoader[Decoded]) -> Iterator[Decoded]:
        with signals_held_back():
            iterator = iter(loader)
        if not self._at_exit:
            self._at_exit = True
            atexit.register(_close, weakref.ref(self))  # before torch's own, which would wait for each worker in turn
        return iterator

    def close(self) -> None:
        """End all workers, at once."""
        iterator: Any = getattr(self._loader, "_iterator", None)
        self.ticket += 1
        if iterator is None or self._loader is None:
            return
        self._loader._iterator = None
        # torch has no public way; dropping the iterator would leave this to the garbage collector
        iterator._shutdown_workers()
        for worker in iterator._workers:
            if worker.is_alive():  # stuck in a read that does not come back, and deaf to SIGTERM
                worker.kill()


def _close(reference: "weakref.ref[DecodeWorkers]") -> None:
    reader = reference()
    if reader is not None:
        reader.close()


def unchanged(answer: Any) -> Any:
    """What becomes of an answer: nothing."""
    return answer


def leave_signals_to_the_parent(worker: int) -> None:
    """Ctrl-C and a batch system's request to stop reach every process of a run; the training process alone reacts,
    and ends its workers. Should it be killed, they notice and end by themselves; asked to stop, they wait for its
    word, but not forever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, lambda *_: signal.alarm(PATIENCE_SECONDS))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """Let no signal in while workers start: a new process would answer it with a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def automatic_workers(device_type: str, processes: int) -> int:
    """How many workers one process of a run takes: its share of the cores, half of it where the CPU also trains."""
    threads = torch.get_num_threads()  # this run's own, as the scheduler and `trainer.threads` set them
    if device_type == "cpu":
        return max(1, min(MOST_WORKERS, threads // 2))
    cores = min(threads, os.cpu_count() or 1)
    return max(1, min(MOST_WORKERS, cores // processes))
