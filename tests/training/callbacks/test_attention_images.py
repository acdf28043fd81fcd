"""Attention maps in TensorBoard: always the same images, no point twice, and no effect on the run."""

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.runs.folder import Job
from attnbench.training.callbacks.attention_images import strip
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.training.test_train import AFTER_TWO_EPOCHS, FEW_IMAGES, event_files_in_order, rows, same, weights

__all__ = ["event_files_in_order"]
SMALL = (*TINY, *FEW_IMAGES, "backbone.depth=8", "recipe.epochs=3")
BAM = ("attention=bam", "attention.reduction=2")
DRAWN = ("callbacks=attention_images", "callbacks.attention_images.every=2")
AN_EPOCH = 64
"""Training images, without those that are held out."""


def job(folder: Path, *words: str) -> Job:
    return plan(compose([*SMALL, *words, f"output={folder}"]))


def pictures(job: Job) -> dict[str, list[tuple[int, np.ndarray]]]:
    """The pictures in a run's event files: steps and pixels, by name."""
    accumulator = EventAccumulator(str(job.folder), size_guidance={"images": 0})
    accumulator.Reload()
    return {
        tag: [(event.step, pixels(event.encoded_image_string)) for event in accumulator.Images(tag)]
        for tag in accumulator.Tags()["images"]
    }


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A finished run of BAM with pictures of its second and its third, the last epoch."""
    finished = job(tmp_path_factory.mktemp("drawn"), *BAM, *DRAWN)
    train(finished)
    return finished


def test_every_map_is_drawn_against_images_seen_and_after_the_last_epoch(drawn: Job) -> None:
    found = pictures(drawn)
    assert set(found) == {"attention/stage1.out", "attention/stage2.out"}
    assert all([step for step, _ in several] == [2 * AN_EPOCH, 3 * AN_EPOCH] for several in found.values())


def test_the_last_epoch_of_an_early_stop_is_drawn(tmp_path: Path) -> None:
    both = ("callbacks=[early_stopping,attention_images]", "callbacks.attention_images.every=5", *AFTER_TWO_EPOCHS)
    train(stopped := job(tmp_path, *BAM, *both))
    assert all([step for step, _ in several] == [2 * AN_EPOCH] for several in pictures(stopped).values())


def test_the_images_are_the_same_each_time_and_their_maps_change(drawn: Job) -> None:
    (_, first), (_, second) = pictures(drawn)["attention/stage1.out"]
    side = 8 * 24  # an image of 24 pixels is enlarged
    assert first.shape == (2 * side + 14, 4 * side, 3)
    assert np.array_equal(first[:side], second[:side])
    assert len({first[:side, start : start + side].tobytes() for start in range(0, 4 * side, side)}) == 4
    assert not np.array_equal(first[side : 2 * side], second[side : 2 * side])


def test_a_run_has_the_same_identity_and_result_without_pictures(drawn: Job, tmp_path: Path) -> None:
    plain = job(tmp_path, *BAM)
    train(plain)
    assert plain.identity == drawn.identity
    assert rows(plain) == rows(drawn)
    assert same(weights(plain), weights(drawn))


def test_a_resumed_run_has_no_picture_twice(drawn: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resumed, step = job(tmp_path, *BAM, *DRAWN), TrainingModule.on_train_epoch_end

    def stopping(self: Any) -> None:  # the second epoch's pictures are written, its checkpoint is not
        step(self)
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TrainingModule, "on_train_epoch_end", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(resumed)
    train(resumed)
    found, expected = pictures(resumed), pictures(drawn)
    assert [step for step, _ in found["attention/stage1.out"]] == [2 * AN_EPOCH, 3 * AN_EPOCH]
    for (_, one), (_, other) in zip(found["attention/stage1.out"], expected["attention/stage1.out"], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["attention=none"], "the attention has no maps that vary in space"),
        ([*BAM, "attention.branch=channel"], "the attention has no maps that vary in space"),
        ([*BAM, "logger=none"], "no logger is TensorBoard's"),
        ([*BAM, "data.validation=0"], "no image is held out"),
    ],
    ids=["no maps", "no spatial maps", "no logger", "no validation images"],
)
def test_what_cannot_be_drawn_is_one_warning(
    words: list[str], reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "attnbench"):
        train(done := job(tmp_path, *words, "callbacks=attention_images", "recipe.epochs=1"))
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("attention_images: nothing is drawn, as ")
    assert reason in message
    assert not pictures(done)


def test_an_option_below_one_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"callbacks\.attention_images\.every=0: must be at least 1"):
        train(job(tmp_path, "callbacks=attention_images", "callbacks.attention_images.every=0"))


def test_a_strip_has_the_images_above_their_maps_in_one_range() -> None:
    images = np.stack([np.zeros((1, 4, 6)), np.ones((1, 4, 6))]).astype(np.float32)
    maps = np.stack([np.zeros((2, 3)), np.ones((2, 3))]).astype(np.float32)
    drawn = strip(images, maps)
    height, width = 4 * 32, 6 * 32
    assert drawn.shape == (3, 2 * height + 14, 2 * width)
    assert drawn[:, :height, :width].max() == 0
    assert drawn[:, :height, width:].min() == 1
    low, high = np.array([68, 1, 84]) / 255, np.array([253, 231, 37]) / 255  # the ends of viridis
    np.testing.assert_allclose(drawn[:, height + 50, 50], 0.75 * low, atol=0.01)
    np.testing.assert_allclose(drawn[:, height + 50, width + 50], 0.75 * high + 0.25, atol=0.01)
