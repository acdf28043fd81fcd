"""A loader of random one-channel images in memory."""

import numpy as np
import torch

from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.sources.arrays import Arrays


def small_loader(count: int, size: int) -> InMemoryLoader:
    """Return a loader of training images in batches of six."""
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 1)).astype(np.uint8)
    arrays = Arrays(images, np.arange(count, dtype=np.int64) % 10)
    return InMemoryLoader(arrays, (0.5,), (0.25,), 6, Placement(torch.device("cpu")), seed=0)
