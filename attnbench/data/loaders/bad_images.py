"""Images that cannot be decoded: named, or found before training and left out, so that every count is exact."""

import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.workers import CHUNK, Decoded, DecodeWorkers, Request
from attnbench.data.sources.image_files import first_of
from attnbench.data.splits import Split
from attnbench.errors import UserError

Integers = NDArray[np.int64]


def in_order(source: Split, members: Integers) -> list[Request]:
    """Requests for images in the order of their files."""
    return [Request(source, members[start : start + CHUNK]) for start in range(0, len(members), CHUNK)]


def checked(data: FileDataSet, source: Split, answers: Iterator[Decoded], tolerant: bool) -> Iterator[Decoded]:
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


def bad_images(data: FileDataSet, source: Split, reader: DecodeWorkers, memory: Path) -> Integers:
    """Places of the images of a split's files that cannot be decoded.

    All are read once; the result is kept in the file `memory`, and those that it names, or that were changed since,
    are tried again. Other processes wait meanwhile.
    """
    found: Integers | None = None
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(memory.with_suffix(".lock")):
            stamps = data.listed(source).stamps()
            found = survey(data, source, reader, doubtful(memory, stamps))
            part = memory.with_suffix(".part.npz")
            try:
                np.savez(part, bad=found, stamps=stamps)
                part.replace(memory)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"cannot keep in {memory.parent} which images are bad: {error}", stacklevel=2)
    return survey(data, source, reader, np.arange(len(data.listed(source)))) if found is None else found


def doubtful(memory: Path, stamps: Integers) -> Integers:
    """Places of the images that have to be read to know which are bad: all of them if nothing is remembered, else those
    that were bad, and those whose stamps (N, 2) are others now.
    """
    try:
        with np.load(memory) as kept:
            changed = (kept["stamps"] != stamps).any(axis=1)
            changed[kept["bad"]] = True
            return np.flatnonzero(changed)
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, EOFError, BadZipFile) as error:
        warnings.warn(f"{memory} is damaged ({error}); reading all images anew", stacklevel=3)
    return np.arange(len(stamps))


def survey(data: FileDataSet, source: Split, reader: DecodeWorkers, members: Integers) -> Integers:
    """Try to decode images, and tell which are bad."""
    if len(members) == len(data.listed(source)):
        print(f"attnbench: reading {len(members):,} images to find those that are bad", file=sys.stderr, flush=True)
    answers = checked(data, source, reader.stream(in_order(source, members)), tolerant=True)
    return np.array([failure.member for answer in answers for failure in answer.failures], np.int64)


def report(data: FileDataSet, source: Split, bad: Sequence[int]) -> None:
    """Say which images are left out."""
    named = first_of([data.listed(source).name(member) for member in bad])
    told = f"attnbench: data.on_bad_image=skip leaves out what cannot be decoded: {named}"
    print(told, file=sys.stderr, flush=True)
