"""Pictures are written whole or not at all, by the one function that does so for every file of a result."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

import attnbench
from attnbench.runs.disk import WriteError
from attnbench.runs.figures import write_figure
from tests.faults.test_no_room import largest_file

WRITING = re.compile(r"\b(?:write_text|write_bytes|savefig|savez|savez_compressed)\(|\bopen\(.*\"[wax]b?\"")
WRITERS = {
    "data/loaders/bad_images.py",  # caches: written beside their place, in parts where they are large, then renamed
    "data/loaders/decoded_cache.py",
    "data/sources/cache_dir.py",
    "data/sources/tar_index.py",
    "launch/processes.py",  # logs
    "launch/ray_actor.py",
    "launch/scheduler.py",
    "runs/epoch_rows.py",  # a line is added
    "runs/files.py",  # does it
    "runs/arrays.py",  # to memory
    "runs/figures.py",
    "tables/render/forest.py",
    "tables/render/plots.py",
    "training/malloc.py",  # a file of the system
}
"""Modules that may write without `attnbench.runs.files`, and why."""


def test_no_other_module_writes_files_in_place() -> None:
    package = Path(attnbench.__file__).parent
    found = {path.relative_to(package).as_posix(): WRITING.findall(path.read_text()) for path in package.rglob("*.py")}
    assert {path: calls for path, calls in found.items() if calls and path not in WRITERS} == {}


@pytest.mark.parametrize(("ending", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_ending_names_the_format(ending: str, start: bytes) -> None:
    write_figure(Figure(figsize=(1, 1)), Path(f"new/picture.{ending}"), dpi=50)
    assert Path(f"new/picture.{ending}").read_bytes().startswith(start)


def test_a_picture_that_cannot_be_written_whole_leaves_the_old_one() -> None:
    path = Path("picture.png")
    path.write_bytes(b"old")
    with largest_file(100), pytest.raises(WriteError, match=r"picture\.png: cannot be written: File too large"):
        write_figure(Figure(figsize=(1, 1)), path, dpi=50)
    assert path.read_bytes() == b"old"
    assert [file.name for file in Path().iterdir()] == ["picture.png"]
