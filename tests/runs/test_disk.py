"""Writes that the system refuses: the message says which file, why, and what is needed."""

import errno
import os
from pathlib import Path

import pytest

from attnbench.runs.disk import WriteError, refusal, writing
from attnbench.runs.epoch_rows import append_row, read_rows
from attnbench.runs.files import write_atomically
from tests.runs.samples import make_row


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.smoke
def test_a_refusal_says_how_much_room_is_needed(own_folder: Path) -> None:
    said = refusal("last.ckpt", own_folder, error(errno.ENOSPC), 2_221_345)
    assert said.startswith("last.ckpt: cannot be written: No space left on device (2.22 MB needed, ")
    assert said.endswith("B free); once there is room, the same command continues")
    assert "(12 B needed, limit of the file " in refusal("row", own_folder, error(errno.EFBIG), 12)
    assert "Disk quota exceeded (" in refusal("row", own_folder, error(errno.EDQUOT))


def test_other_refusals_give_the_systems_reason(own_folder: Path) -> None:
    assert refusal("row", own_folder, error(errno.EROFS), 3) == "row: cannot be written: Read-only file system"
    with pytest.raises(WriteError, match="row: cannot be written: Input/output error"), writing("row", own_folder, 3):
        raise error(errno.EIO)


def test_a_file_that_cannot_be_replaced_stays(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_folder / "record.json"
    write_atomically(path, "old")

    def fsync(_: int) -> None:
        raise error(errno.ENOSPC)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(WriteError, match=r"record\.json: cannot be written: No space left on device \(3 B needed, "):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(own_folder.iterdir()) == [path]


def test_a_row_without_room_names_its_file(own_folder: Path) -> None:
    path = own_folder / "metrics.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(WriteError, match=r"metrics\.jsonl: cannot be written: No space left on device"):
        append_row(path, make_row(1))
    assert read_rows(own_folder / "none.jsonl") == []
