"""A folder in which the commands of the documentation can be tried: the pages' example files, and a few tiny runs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from attnbench.cli.main import main
from tests.docs.pages import example_files, pages

TINY_RUN = (
    *("data=cluttered_digits", "data.train_images=300", "data.validation=100", "data.test_images=100"),
    *("recipe.epochs=1", "backbone.width=8", "trainer.threads=1", "trainer.progress=false"),
)
RUNS = {"none": (), "bam": ("attention.reduction=4",), "gated": ()}


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all example files, and with a run of the plain network, of BAM and of gated attention."""
    folder, before = tmp_path_factory.mktemp("workplace"), Path.cwd()
    for text in pages().values():
        for path, content in example_files(text).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
    Image.new("RGB", (40, 30), "white").save(folder / "picture.png")
    os.chdir(folder)
    try:
        for attention, options in RUNS.items():
            assert main(["train", f"attention={attention}", *options, *TINY_RUN]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def there(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The workplace, as the current folder."""
    monkeypatch.chdir(workplace)
    yield workplace
