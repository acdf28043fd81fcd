"""The loader factory: what it makes of which data set, and the workers that its loaders share."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.loaders.streaming import StreamingLoader
from attnbench.data.sources.arrays import Arrays
from attnbench.data.splits import Split
from tests.data.pictures import CPU, folder_set


class OwnSet(DataSet):
    """What a user writes: a description and `load`."""

    classes = ("dark", "bright")
    image_size = 4
    channels = 1
    train_images = 12

    def fingerprint(self) -> str:
        return "own"

    def load(self, split: Split) -> Arrays:
        labels = np.arange({"train": 8, "validation": 4, "test": 6}[split]) % 2
        return Arrays((labels[:, None, None, None] * np.full((1, 4, 4, 1), 200)).astype(np.uint8), labels)


def test_a_users_own_set_needs_only_load() -> None:
    data = OwnSet(batch_size=4, validation=4, mean=(0.0,), std=(1.0,), label_noise=0.5)
    factory = LoaderFactory(data, CPU)
    assert all(isinstance(factory.make(split), InMemoryLoader) for split in data.splits)
    images, labels = next(iter(factory.make("test").epoch()))
    assert labels.tolist() == [0, 1, 0, 1]
    assert torch.equal(images.amax(dim=(1, 2, 3)) > 0.5, labels.bool())
    factory.close()  # without workers, there is nothing to end


def test_training_is_shuffled_and_noisy_and_evaluation_is_neither() -> None:
    data = OwnSet(batch_size=8, validation=4, mean=(0.0,), std=(1.0,), label_noise=0.5)
    factory = LoaderFactory(data, CPU)
    images, labels = factory.make("train", seed=0).epoch().batch(0)
    truth = (images.amax(dim=(1, 2, 3)) > 0.5).long()
    assert truth.tolist() != [0, 1] * 4
    assert not torch.equal(labels, truth)
    for split in ("train", "validation"):
        images, labels = factory.make(split).epoch().batch(0)
        assert torch.equal(images.amax(dim=(1, 2, 3)) > 0.5, labels.bool())
        assert labels.tolist() == [0, 1] * (len(labels) // 2)


def test_loaders_of_files_stream_and_share_their_workers(root: Path) -> None:
    with closing(LoaderFactory(folder_set(root, "data.workers=1"), CPU)) as factory:
        train: Any = factory.make("train", seed=0)
        test: Any = factory.make("test")
        assert isinstance(train, StreamingLoader)
        assert train.workers is test.workers
        train.epoch().batch(0)
        (process,) = train.workers._loader._iterator._workers
        assert process.is_alive()
    assert not process.is_alive()
