"""What several tests of verdicts need."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def cheap_collection() -> Iterator[None]:
    """Keep the objects of imported modules out of the garbage collection that statsmodels runs in every call."""
    gc.freeze()
    yield
    gc.unfreeze()
