"""Predictions of a test, one row for each test image, in a compressed `.npz` file in the run's folder.

`numpy.load` reads a file without this package. Its arrays:

- `index` (N,) uint32: index of the image in the test set, ascending; an image that was left out leaves a gap.
- `label`, `predicted` (N,) uint8 or uint16: true and predicted class.
- `probability`, `label_probability` (N,) float16: probability of the predicted and of the true class, after a softmax
  over all classes.
- `classes` (L,): names of the classes, in the order of the labels.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from attnbench.runs.arrays import packed
from attnbench.runs.files import damaged, read_bytes, shown, write_all

Pick = Literal["random", "right", "wrong", "changed"]
PICKS: tuple[str, ...] = get_args(Pick)
"""Kinds of test images by their predictions: any, rightly or wrongly classified, or differently by several runs."""
ARRAYS = ("index", "label", "predicted", "probability", "label_probability")
KINDS = {"index": "u", "label": "u", "predicted": "u", "probability": "f", "label_probability": "f"}
"""Numpy's kind of each array: unsigned integer or floating point."""
MOST_BYTES = 2**30
"""Of a file's arrays; more are not read into memory."""
UNREADABLE = (
    OSError, EOFError, ValueError, TypeError, AttributeError, MemoryError, OverflowError, SyntaxError, RuntimeError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise for damaged files."""


class SavedPredictions(Protocol):
    """Predictions of a test, of any task, that are kept in the run's folder."""

    def write(self, path: Path) -> None:
        """Replace the file at a path, and make its folder if there is none."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of one test, in the order of the test set; all arrays (N,), as the file holds them."""

    classes: tuple[str, ...]
    index: NDArray[np.uint32]
    label: NDArray[np.unsignedinteger]
    predicted: NDArray[np.unsignedinteger]
    probability: NDArray[np.float16]
    label_probability: NDArray[np.float16]

    @classmethod
    def make(
        cls, classes: Sequence[str], index: ArrayLike, label: ArrayLike, predicted: ArrayLike,
        probability: ArrayLike, label_probability: ArrayLike,
    ) -> "Predictions":  # fmt: skip
        """Build predictions from arrays of any type, in the smallest types that hold them."""
        integer = np.min_scalar_type(len(classes) - 1)
        return cls(
            classes=tuple(classes),
            index=np.asarray(index, np.uint32),
            label=np.asarray(label, integer),
            predicted=np.asarray(predicted, integer),
            probability=np.asarray(probability, np.float16),
            label_probability=np.asarray(label_probability, np.float16),
        )

    def __len__(self) -> int:
        return len(self.index)

    def write(self, path: Path) -> None:
        """Replace a file of predictions, and make its folder if there is none."""
        write_predictions(path, self)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether each image (N,) was classified correctly."""
        return self.predicted == self.label

    @property
    def accuracy(self) -> float:
        """Top-1 accuracy, as a fraction."""
        return int(self.correct.sum()) / len(self)


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Replace a file of predictions, and make its folder if there is none."""
    arrays = {name: getattr(predictions, name) for name in ARRAYS}
    write_all({path: packed({"classes": np.array(predictions.classes), **arrays})})


def read_predictions(path: Path) -> Predictions | None:
    """Return the predictions in a file, or None if there is no file. Raises `UserError` if it is damaged."""
    where = shown(path)
    try:
        packed = read_bytes(path)
        if packed is None:
            return None
        classes, arrays = _unpack(packed)
    except KeyError as error:
        raise damaged(where, f"it lacks an array ({error.args[0]})") from None
    except UNREADABLE as error:
        raise damaged(where, f"it holds no predictions ({type(error).__name__})") from None
    if complaint := _wrong_type(classes, arrays) or _wrong_content(classes, arrays):
        raise damaged(where, complaint)
    return Predictions(tuple(classes.tolist()), **arrays)


def _unpack(packed: bytes) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
    """Return the names of the classes and the other arrays of a file's content."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
    with np.load(io.BytesIO(packed), allow_pickle=False) as content:
        return content["classes"], {name: content[name] for name in ARRAYS}


def _wrong_type(classes: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    """Return which array of a file has a wrong type; empty if none has."""
    if classes.ndim != 1 or classes.dtype.kind != "U":
        return "classes is no list of names"
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind != KINDS[name]:
            return f"{name} is an array of {array.dtype}, of {array.ndim} dimensions"
    return ""


def _wrong_content(classes: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> str:
    """Return what is wrong with the content of arrays of the right types; empty if nothing is."""
    if len({len(array) for array in arrays.values()}) > 1:
        return "its arrays differ in length"
    if not len(arrays["index"]):
        return "it holds no image"
    if max(arrays["label"].max(), arrays["predicted"].max()) >= len(classes):
        return f"it names a class beyond its {len(classes)}"
    if (np.diff(arrays["index"].astype(np.int64)) <= 0).any():
        return "its images are not in order"
    return ""
