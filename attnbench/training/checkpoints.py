"""The checkpoint files of a run: written whole or not at all, and checked before they are used."""

import io
import os
import pickle
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from attnbench.errors import UserError
from attnbench.runs.files import make_folder, replace_file, shown
from attnbench.weights.load import differences, shape_of

PREFIX = "net."
"""Of the network's weights in a checkpoint of `TrainingModule`."""
AVERAGE_PREFIX = "average.net."
"""Of their moving average, in a run whose recipe has one."""
TRAINING_STATE = ("callbacks", "optimizer_states", "lr_schedulers")
"""Parts of a checkpoint that only a run that goes on needs."""
HELP = "restore the file, or train again with run.again=true, which archives the run"
UNREADABLE = (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError,
              AttributeError, IndexError, zipfile.BadZipFile)  # fmt: skip
"""What torch and zipfile raise for files that are damaged in one way or another."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes the checkpoints of Lightning's trainer.

    Lightning writes to the system's temporary folder and moves the file, which is no atomic step from one file system
    to another: a run that is killed in between has lost its checkpoint.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint to a file of a local disk."""
        if storage_options is not None:
            raise TypeError("checkpoints are local files; they take no storage_options")
        write_checkpoint(checkpoint, Path(path))


def write_checkpoint(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Replace a checkpoint. A reader, or a crash, sees the old file or the new one, never a part.

    Raises:
        WriteError: there is no room for the file; the old one is still there.
    """
    buffer = io.BytesIO()  # torch hides why a write failed when it writes to a file itself
    torch.save(dict(checkpoint), buffer)
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.part")  # one process owns the run: it overwrites what a killed one left
    replace_file(path, part, buffer.getbuffer())
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Wait until a renamed file's new name is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint and check that no byte of it has changed since it was written.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (member := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"{member} has changed")
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        int(checkpoint["epoch"])
        if not all(isinstance(weight, Tensor) for weight in checkpoint["state_dict"].values()):
            raise TypeError("weights are tensors")
    except FileNotFoundError:
        raise damaged_checkpoint(path, "it is missing") from None
    except UNREADABLE as error:
        raise damaged_checkpoint(path, f"it cannot be read ({type(error).__name__})") from error
    return checkpoint


def damaged_checkpoint(path: Path, reason: str) -> UserError:
    """Build the error for a checkpoint that cannot be used."""
    return UserError(f"{shown(path)}: damaged: {reason}; {HELP}")


def epoch_of(checkpoint: Mapping[str, Any]) -> int:
    """Return the epoch, counted from 1, after which a checkpoint was written."""
    return int(checkpoint["epoch"]) + 1


def weights_in(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the network's weights in a checkpoint."""
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    return {key.removeprefix(PREFIX): tensor for key, tensor in weights.items() if not key.startswith(AVERAGE_PREFIX)}


def average_in(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the moving average of the network's weights in a checkpoint; empty where there is none."""
    weights: dict[str, Tensor] = checkpoint["state_dict"]
    return {
        key.removeprefix(AVERAGE_PREFIX): tensor for key, tensor in weights.items() if key.startswith(AVERAGE_PREFIX)
    }


def misfit(stored: Mapping[str, Tensor], net: nn.Module) -> str:
    """Return in what stored weights differ from those of a network, in a few words; empty if they fit."""
    wanted = net.state_dict()
    shapes = (
        f"{key} is {shape_of(stored[key])} in the checkpoint and {shape_of(wanted[key])} here"
        for key in wanted
        if key in stored and stored[key].shape != wanted[key].shape
    )
    missing = (key for key in wanted if key not in stored)
    return differences(shapes, missing, (key for key in stored if key not in wanted), "the checkpoint")


def not_finite(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[str]:
    """Yield the names of tensors that hold NaN or an infinity."""
    return (name for name, tensor in tensors if tensor.is_floating_point() and not tensor.isfinite().all())


def weights_problem(checkpoint: Mapping[str, Any], net: nn.Module, finite: bool, averaged: bool = False) -> str:
    """Return why a checkpoint's weights cannot be used for a network; empty if they can.

    Args:
        checkpoint: as it was read.
        net: the network.
        finite: whether all weights must be finite.
        averaged: whether it must hold their moving average.
    """
    parts = {"weights": weights_in(checkpoint)} | ({"averaged weights": average_in(checkpoint)} if averaged else {})
    for part, stored in parts.items():
        if problem := misfit(stored, net):
            return f"its {part} do not fit: {problem}"
        if finite and (name := next(not_finite(stored.items()), "")):
            return f"{name} holds values that are not finite"
    return ""
