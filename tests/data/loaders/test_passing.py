"""Workers pass on what they have decoded, also where there is no shared memory."""

import logging
import tempfile
from typing import Any

import numpy as np
import pytest
import torch

from attnbench.data.loaders import passing
from attnbench.data.loaders.passing import Decoded, Failure, Piped, can_share, share


def decoded() -> Decoded:
    pixels = torch.arange(12, dtype=torch.uint8).reshape(4, 3)
    return Decoded(pixels, np.array([[2, 2, 2, 2]]), (Failure(1, "cut off", True),))


def no_room(self: torch.Tensor) -> None:
    raise RuntimeError("unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)")


def test_pixels_are_shared_where_there_is_room() -> None:
    passed = share(decoded())
    assert isinstance(passed, Decoded)
    assert passed.pixels.is_shared()


def test_pixels_go_through_a_pipe_where_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.Tensor, "share_memory_", no_room)
    passed = share(decoded())
    assert isinstance(passed, Piped)
    found, expected = passed.unpack(), decoded()
    assert torch.equal(found.pixels, expected.pixels)
    assert found.failures == expected.failures


@pytest.mark.parametrize(("length", "fits"), [(75, True), (76, False)])
def test_shared_memory_needs_a_short_path(length: int, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/" + (length - 1) * "t")
    assert can_share() == fits


@pytest.mark.parametrize("reason", ["no room", "long path"])
def test_workers_decode_the_same_without_shared_memory(
    reason: str, loader: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = [images for images, _ in loader("data.workers=1").epoch(0)]
    if reason == "no room":
        monkeypatch.setattr(torch.Tensor, "share_memory_", no_room)
    else:
        monkeypatch.setattr(passing, "LONGEST_SOCKET", 20)
    with caplog.at_level(logging.WARNING, "attnbench"):
        found = [images for images, _ in loader("data.workers=1").epoch(0)]
    assert len(found) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert caplog.text.count("workers pass images through pipes") == 1
    assert ("/dev/shm" in caplog.text) == (reason == "no room")
