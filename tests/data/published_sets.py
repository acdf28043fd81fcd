"""Miniatures of published sets, built from configurations."""

import os
from pathlib import Path
from typing import Any

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.sources.image_files import ImageFiles
from tests.data import layouts

SMALL = ("data.image_size=16", "data.resize=16", "data.batch_size=4", "data.workers=0", "data.validation=0")


def released(name: str, root: Path, *overrides: str) -> Any:
    """A set at `root`, with small settings."""
    return build_data(compose([f"data={name}", f"data.root={root}", *SMALL, *overrides]))


def write(name: str, root: Path) -> Path:
    """The miniature of a set; returns its folder."""
    home: Path = getattr(layouts, f"write_{name}")(root)
    return home


def paths(files: ImageFiles) -> list[str]:
    return [os.fsdecode(path) for path in files.paths]
