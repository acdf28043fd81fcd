"""Both loaders change the pixels that they crop by the epoch's policy, each image by operations of its own."""

from typing import Any

import numpy as np
import pytest
import torch

from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.sources.arrays import Arrays
from attnbench.data.transforms.augmentation import Augmentation
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.data.transforms.policy_operations import Policy
from attnbench.seeding import derive_seed
from tests.data.loaders.conftest import same
from tests.data.pictures import CPU, folder_set

POLICY = PolicyOptions("randaugment", 2, 20, 1.0)


def pixels_of(images: torch.Tensor, mean: Any, std: Any) -> torch.Tensor:
    """The pixels of normalised images."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))
    return ((images * std + mean) * 255).round().to(torch.uint8)


@pytest.mark.parametrize("channels_last", [False, True])
def test_in_memory(channels_last: bool) -> None:
    images = np.random.default_rng(0).integers(0, 256, (11, 12, 12, 3)).astype(np.uint8)
    arrays, mean, std = Arrays(images, np.arange(11, dtype=np.int64)), (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
    placement = Placement(CPU.device, channels_last=channels_last)
    plain, changed = (
        InMemoryLoader(arrays, mean, std, 4, placement, Augmentation(2, "zeros", True), 0, policy=policy).epoch(3)
        for policy in (None, POLICY)
    )
    policy = Policy(POLICY, 11, 12, 12, derive_seed(0, "policy", 3))
    for number in (2, 0, 1):
        (before, labels), (after, same_labels) = plain.batch(number), changed.batch(number)
        assert torch.equal(labels, same_labels)
        expected = policy(pixels_of(before, mean, std), changed.share(number))
        assert torch.equal(pixels_of(after, mean, std), expected)
        assert after.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_streaming(loader: Any, root: Any, factories: list[LoaderFactory]) -> None:
    plain = loader("data.batch_size=40").epoch(1)
    found = {}
    for overrides in ((), ("data.workers=2", "data.cache=ram")):
        data = folder_set(root, "data.batch_size=40", *overrides)
        factories.append(LoaderFactory(data, CPU))
        epoch = factories[-1].make("train", 0, POLICY).epoch(1)
        found[overrides] = [epoch.batch(number) for number in (1, 0)]
    first, other = found.values()
    assert same(first, other)
    policy = Policy(POLICY, 75, 32, 32, derive_seed(0, "policy", 1))
    for number, (images, labels) in zip((1, 0), first, strict=True):
        before, same_labels = plain.batch(number)
        expected = policy(pixels_of(before, data.mean, data.std), plain.share(number))
        assert torch.equal(labels, same_labels)
        assert torch.equal(pixels_of(images, data.mean, data.std), expected)


def test_evaluation_sees_images_as_they_are(root: Any, factories: list[LoaderFactory]) -> None:
    factories.append(LoaderFactory(folder_set(root), CPU))
    policy = factories[-1].make("test", None, POLICY).draw_policy(0)
    assert policy is None
