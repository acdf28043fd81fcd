"""Predictions of a test: small files that give back what was written, and one clear line for those that cannot."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attnbench.errors import UserError
from attnbench.runs.predictions import Predictions, read_predictions, write_predictions
from tests.runs.samples import make_predictions

pytestmark = pytest.mark.smoke


def test_a_file_gives_back_what_was_written(own_folder: Path) -> None:
    written = make_predictions(label=[0, 2, 1], predicted=[0, 1, 1], probability=[0.5, 0.75, 1], classes=300)
    write_predictions(own_folder / "predictions" / "last.npz", written)
    found = read_predictions(own_folder / "predictions" / "last.npz")
    assert found is not None
    assert found.classes == written.classes
    assert (str(found.label.dtype), str(found.probability.dtype)) == ("uint16", "float16")
    assert (found.index.tolist(), found.label.tolist(), found.predicted.tolist()) == ([0, 1, 2], [0, 2, 1], [0, 1, 1])
    assert (found.probability.tolist(), found.accuracy) == ([0.5, 0.75, 1], 2 / 3)
    assert read_predictions(own_folder / "best.npz") is None
    assert [path.name for path in (own_folder / "predictions").iterdir()] == ["last.npz"]


def test_ten_thousand_images_of_a_hundred_classes_are_small(own_folder: Path) -> None:
    """Random numbers, which cannot be compressed, are the worst case."""
    draw = np.random.default_rng(0)
    label, predicted = draw.integers(0, 100, (2, 10_000))
    probability, of_label = draw.random((2, 10_000))
    names, path = [f"class {number}" for number in range(100)], own_folder / "last.npz"
    write_predictions(path, Predictions.make(names, range(10_000), label, predicted, probability, of_label))
    assert path.stat().st_size < 75_000


def npz(**changes: Any) -> bytes:
    """A file of two images with other arrays; None leaves one out."""
    arrays: dict[str, Any] = {
        "classes": np.array(list("0123456789")),
        "index": np.arange(2, dtype=np.uint32),
        **{name: np.array([3, 9], np.uint8) for name in ("label", "predicted")},
        **{name: np.array([0.5, 0.9], np.float16) for name in ("probability", "label_probability")},
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: array for name, array in {**arrays, **changes}.items() if array is not None})
    return stream.getvalue()


WHOLE = npz()
DAMAGED: dict[bytes, str] = {
    b"": "it holds no predictions (BadZipFile)",
    b"torn": "it holds no predictions (BadZipFile)",
    WHOLE[:200]: "it holds no predictions (BadZipFile)",
    WHOLE[:60] + b"\xff" * 20 + WHOLE[80:]: "it holds no predictions (",
    npz(label=None): "it lacks an array (label",
    npz(classes=np.uint32(10)): "classes is no list of names",
    npz(label=np.array([{}, {}])): "it holds no predictions (ValueError)",
    npz(label=np.zeros(3, np.uint8)): "its arrays differ in length",
    npz(label=np.zeros((2, 2), np.uint8)): "label is an array of uint8, of 2 dimensions",
    npz(probability=np.array([1, 1])): "probability is an array of int64, of 1 dimensions",
    npz(predicted=np.array([3, 10], np.uint8)): "it names a class beyond its 10",
    npz(index=np.array([1, 1], np.uint32)): "its images are not in order",
    npz(**{name: np.empty(0, np.uint8) for name in ("index", "label", "predicted")},
        **{name: np.empty(0, np.float16) for name in ("probability", "label_probability")}): "it holds no image",
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), DAMAGED.items(), ids=range(len(DAMAGED)))
def test_a_damaged_file_is_one_line(content: bytes, reason: str, own_folder: Path) -> None:
    path = own_folder / "last.npz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(f"last.npz: damaged: {reason}")
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_one_line(own_folder: Path) -> None:
    (own_folder / "last.npz").mkdir()
    with pytest.raises(UserError, match="damaged: it is a folder, not a file"):
        read_predictions(own_folder / "last.npz")
