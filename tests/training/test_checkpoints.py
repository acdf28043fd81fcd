"""Checkpoint files: whole or not at all, in their folder alone, and read only as they were written."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.errors import UserError
from attnbench.runs.litter import clear_litter
from attnbench.training.checkpoints import (
    epoch_of,
    misfit,
    not_finite,
    read_checkpoint,
    weights_in,
    write_checkpoint,
)

CHECKPOINT: dict[str, Any] = {"epoch": 2, "state_dict": {"net.weight": torch.arange(5000.0)}}


@pytest.mark.smoke
def test_a_checkpoint_is_read_as_it_was_written(own_folder: Path) -> None:
    path = own_folder / "checkpoints" / "last.ckpt"
    write_checkpoint(CHECKPOINT, path)
    found = read_checkpoint(path)
    assert epoch_of(found) == 3
    assert torch.equal(weights_in(found)["weight"], torch.arange(5000.0))
    assert [child.name for child in path.parent.iterdir()] == ["last.ckpt"]


def test_no_byte_of_a_checkpoint_can_change_unnoticed(own_folder: Path) -> None:
    path = own_folder / "last.ckpt"
    write_checkpoint(CHECKPOINT, path)
    whole = path.read_bytes()
    for place in (len(whole) // 2, len(whole) // 3, 2 * len(whole) // 3):  # in the weights
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"last\.ckpt: damaged: it cannot be read \(BadZipFile\)"):
            read_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"torn", b"PK\x03\x04" + bytes(100), {"epoch": 1}, {"state_dict": {}}, {"epoch": "one", "state_dict": {}},
        {"epoch": 1, "state_dict": {"net.weight": 3}}, {"epoch": 1, "state_dict": [1]}, [1],
    ],
)  # fmt: skip
def test_what_is_no_checkpoint_is_one_line(content: Any, own_folder: Path) -> None:
    path = own_folder / "last.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(UserError, match=r"last\.ckpt: damaged: it cannot be read .*; restore the file") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_no_part(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_folder / "last.ckpt"
    write_checkpoint(CHECKPOINT, path)

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({**CHECKPOINT, "epoch": 7}, path)
    assert epoch_of(read_checkpoint(path)) == 3
    assert [child.name for child in own_folder.iterdir()] == ["last.ckpt"]


def test_what_a_killed_process_left_is_overwritten_or_removed(own_folder: Path) -> None:
    (own_folder / ".last.ckpt.part").write_bytes(b"a part")
    write_checkpoint(CHECKPOINT, own_folder / "last.ckpt")
    assert [child.name for child in own_folder.iterdir()] == ["last.ckpt"]
    (own_folder / ".best.ckpt.part").write_bytes(b"a part")
    clear_litter(own_folder)
    assert [child.name for child in own_folder.iterdir()] == ["last.ckpt"]


def test_tensors_that_are_not_finite_are_named() -> None:
    tensors = {
        "a": torch.ones(2),
        "b": torch.tensor([1, torch.inf]),
        "c": torch.tensor(3),
        "d": torch.tensor(torch.nan),
    }
    assert list(not_finite(tensors.items())) == ["b", "d"]


@pytest.mark.smoke
def test_misfits_are_named_and_counted() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 3))
    fitting = net.state_dict()
    assert misfit(fitting, net) == ""
    stored = {"0.weight": torch.ones(3, 4), "0.bias": torch.ones(3), "a": torch.tensor(1), "b": torch.ones(1)}
    assert misfit({**stored, "c": torch.ones(1)}, net) == (
        "1 of another shape (0.weight is 3x4 in the checkpoint and 3x2 here); "
        "2 not in the checkpoint (1.weight, 1.bias); 3 only in the checkpoint (a, b, …)"
    )
