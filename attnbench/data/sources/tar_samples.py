"""The samples in a tar file in webdataset's format.

A sample is all files whose paths agree up to the first dot of the file name. That common part is its key, and the rest
is the type of the file (https://github.com/webdataset/webdataset, "The WebDataset Format"). Its files need not be
adjacent.

People's names have more dots than that. A file with several belongs to the sample

- of its name without the extension, if there are an image and a label so called (`bird 2.7.png`, `bird 2.7.cls`);
- else of the longest part of its name before a dot that has a label: `x.input.png` is the image of `x.cls`, if there is
  no `x.png` and no other such image.

Whatever belongs to a sample and is neither its image nor its label is left out, and counted.
"""

import posixpath
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from attnbench.data.sources.folders import HIDDEN, extension_of, is_hidden
from attnbench.data.sources.left_out import LeftOut

USUAL_IMAGES = ("jpg", "jpeg", "png", "webp")
IMAGES = (*USUAL_IMAGES, "ppm", "bmp", "pgm", "tif", "tiff", "jfif", "jpe", "gif", "avif")
LABELS = ("cls", "json")
AUTO = "auto"
"""By default, a label is the number in `.cls`, or else a field of `.json`."""
FURTHER = "further files of samples"

Place = tuple[int, int]
"""Position of a file's first byte in a tar file, and the number of its bytes."""
Kinds = dict[str, Place]
"""Images and labels of one name, by extension."""


class SampleError(Exception):
    """The files of a tar file do not make up samples; the message names the first one that does not fit."""


class Sample(NamedTuple):
    """A sample: its key, and where its image and its label are; `kind` is the label's extension."""

    key: str
    image: Place
    label: Place
    kind: str


def samples_of(files: Iterable[tuple[str, Place]], label: str) -> tuple[list[Sample], LeftOut]:
    """Put together the samples of a tar file.

    Args:
        files: names and places of its regular files.
        label: `AUTO`, or another word if the label is in `.json` always.

    Raises:
        SampleError: a sample has no image, no label, or several of them.
    """
    left_out = LeftOut()
    by_stem = _by_stem(files, left_out)
    own = {stem: kinds for stem, kinds in by_stem.items() if _is_sample(stem, by_stem, label)}
    further: dict[str, list[tuple[str, Place]]] = {}
    for stem in [stem for stem in by_stem if stem not in own]:
        parent = next((part for part in _parts(stem) if part in own), stem)
        further.setdefault(parent, []).extend((f"{stem}.{kind}", by_stem[stem][kind]) for kind in by_stem[stem])
    samples = [_sample(key, kinds, further.get(key, []), label, left_out) for key, kinds in own.items()]
    return samples, left_out


def _by_stem(files: Iterable[tuple[str, Place]], left_out: LeftOut) -> dict[str, Kinds]:
    """Sort images and labels by their names without extension."""
    by_stem: dict[str, Kinds] = {}
    for name, place in files:
        stem, extension = posixpath.splitext(name)
        kind = extension.removeprefix(".").lower()
        if is_hidden(posixpath.basename(name)):
            left_out.add(HIDDEN, [name])
        elif kind not in IMAGES + LABELS:
            left_out.add(extension_of(name), [name])
        elif kind in by_stem.setdefault(stem, {}):
            raise SampleError(f"{stem}.{kind} is in it twice")
        else:
            by_stem[stem][kind] = place
    return by_stem


def _parts(stem: str) -> Iterable[str]:
    """Yield the parts of a name before each of its dots, the longest first."""
    folder, base = posixpath.split(stem)
    while "." in base:
        base = base.rpartition(".")[0]
        yield posixpath.join(folder, base)


def _is_sample(stem: str, by_stem: Mapping[str, Kinds], label: str) -> bool:
    """Return whether the files of a name are a sample of their own, rather than further files of another."""
    *_, first = (stem, *_parts(stem))
    if stem == first:
        return True
    kinds = by_stem[stem]
    if _is_complete(kinds, label):  # a mask may come with a description: 7.jpg 7.cls 7.mask.png 7.mask.json
        return "cls" in kinds or not _is_complete(by_stem.get(first, {}), label)
    lacking = _has_image if label_of(kinds, label) else label_of
    return not any(lacking(by_stem.get(part, {}), label) for part in _parts(stem))  # then its lack is reported


def _has_image(kinds: Kinds, label: str) -> bool:
    return any(kind in IMAGES for kind in kinds)


def label_of(kinds: Kinds, label: str) -> str:
    """Return the extension of the label among files of one name; empty if there is none."""
    wanted = "cls" if label == AUTO and "cls" in kinds else "json"
    return wanted if wanted in kinds else ""


def _is_complete(kinds: Kinds, label: str) -> bool:
    return _has_image(kinds, label) and bool(label_of(kinds, label))


def _sample(key: str, kinds: Kinds, further: list[tuple[str, Place]], label: str, left_out: LeftOut) -> Sample:
    own = {f".{kind}": place for kind, place in kinds.items() if kind in IMAGES}
    images = {kind: place for kind, place in own.items() if kind[1:] in USUAL_IMAGES} or own
    if not images:
        images = {name.removeprefix(key): place for name, place in further if name.rpartition(".")[2] in IMAGES}
    if not images:
        raise SampleError(f"{key} has no image ({' '.join(IMAGES)})")
    if len(images) > 1:
        raise SampleError(f"{key} has two images, {' and '.join(list(images)[:2])}")
    kind = label_of(kinds, label)
    if not kind:
        raise SampleError(f"{key} has no label: no {'.cls or .json' if label == AUTO else '.json'}")
    ((chosen, image),) = images.items()
    left_out.add(FURTHER, (key + other for other in own if other != chosen))
    left_out.add(FURTHER, (name for name, _ in further if name != key + chosen))
    return Sample(key, image, kinds[kind], kind)
