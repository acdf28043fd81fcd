"""Loaders of a miniature image folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.splits import Split
from tests.data.pictures import CPU, folder_set, write_folder

Batches = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def root(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image folder, and an empty cache beside it."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return write_folder(own_folder / "set", images=25, splits=("train", "test"))


@pytest.fixture
def factories() -> Iterator[list[LoaderFactory]]:
    """Factories whose workers end with the test."""
    opened: list[LoaderFactory] = []
    yield opened
    for factory in opened:
        factory.close()


@pytest.fixture
def loader(root: Path, factories: list[LoaderFactory]) -> Any:
    """Makes a loader of the folder."""

    def make(*overrides: str, split: Split = "train", seed: int | None = 0, placement: Placement = CPU) -> Any:
        factories.append(LoaderFactory(folder_set(root, *overrides), placement))
        return factories[-1].make(split, seed)

    return make


def same(one: Batches, other: Batches) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)
