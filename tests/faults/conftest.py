"""Undisturbed runs, to which disturbed ones are compared; each is made once for all tests of a process."""

import pytest

from tests.faults.campaign import SINGLE, SWEEP, Campaign, prepare_folder
from tests.faults.children import Forked, Started


@pytest.fixture(scope="session")
def single(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A single run, in forked processes."""
    return Campaign.prepare(SINGLE, Forked, tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A sweep of two runs at a time, started as a user starts it."""
    return Campaign.prepare(SWEEP, Started, tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """A run on a folder of images, with a cache of decoded ones."""
    return prepare_folder(tmp_path_factory.mktemp("folder"))
