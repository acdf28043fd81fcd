"""Images that cannot be decoded: named, or found before training and left out, so that every count is exact."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from attnbench.data.base import Split
from attnbench.data.files import first_of
from attnbench.data.reader import CHUNK, Decoded, Reader, Request
from attnbench.data.streamed_base import StreamedDataSet
from attnbench.errors import UserError

Integers = NDArray[np.int64]


def in_order(source: Split, members: Integers) -> list[Request]:
    """Requests for images in the order of their files."""
    return [Request(source, members[start : start + CHUNK]) for start in range(0, len(members), CHUNK)]


def checked(data: StreamedDataSet, source: Split, answers: Iterator[Decoded], tolerant: bool) -> Iterator[Decoded]:
    """Answers as they come. Raises `UserError` that names the first image that could not be had; a tolerant one lets
    those pass that are damaged, but not those that could not be read: a broken disk is no reason to train on less.
    """
    for answer in answers:
        for failure in answer.failures:
            if not failure.damaged:
                raise UserError(f"data={data.name}: {data.listed(source).name(failure.member)}: {failure.reason}")
            if not tolerant:
                raise data.refusal(source, failure.member, failure.reason)
        yield answer


def bad_images(data: StreamedDataSet, source: Split, reader: Reader, memory: Path) -> Integers:
    """Places of the images of a split's files that cannot be decoded.

    All are read once; the result is kept in the file `memory`, and those that it names are tried again, as they may
    have been repaired. Other processes wait meanwhile.
    """
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(memory.with_suffix(".lock")):
            found = survey(data, source, reader, np.load(memory) if memory.is_file() else None)
            part = memory.with_suffix(".part.npy")
            np.save(part, found)
            part.replace(memory)
    except OSError as error:
        warnings.warn(f"cannot keep in {memory.parent} which images are bad: {error}", stacklevel=2)
        found = survey(data, source, reader, None)
    return found


def survey(data: StreamedDataSet, source: Split, reader: Reader, members: Integers | None) -> Integers:
    """Try to decode images, all of them unless told which, and tell which are bad."""
    if members is None:
        members = np.arange(len(data.listed(source)))
        print(f"attnbench: reading {len(members):,} images to find those that are bad", file=sys.stderr, flush=True)
    answers = checked(data, source, reader.stream(in_order(source, members)), tolerant=True)
    return np.array([failure.member for answer in answers for failure in answer.failures], np.int64)


def report(data: StreamedDataSet, source: Split, bad: Sequence[int]) -> None:
    """Say which images are left out."""
    named = first_of([data.listed(source).name(member) for member in bad])
    told = f"attnbench: data.on_bad_image=skip leaves out what cannot be decoded: {named}"
    print(told, file=sys.stderr, flush=True)
