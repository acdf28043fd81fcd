"""Read a state dict from a file or a library, without the wrappers around it.

A file holds a state dict as torch.save or safetensors writes it: bare, within a checkpoint (of this package's runs as
well), or with the prefixes of data parallelism. It is read under `weights_only=True`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attnbench.backbones.base import Backbone
from attnbench.errors import UserError
from attnbench.weights.differences import some

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which checkpoints hold a state dict."""
WRAPPED = ("module.", "_orig_mod.")
"""Prefixes of data parallelism and of compiled modules."""
ALONE = 'torch.save(torch.load(FILE, weights_only=False)["state_dict"], "weights.pt"), or under whatever key it is'
"""How to save the state dict of a file that holds more."""
OURS = ("net.model.backbone.body.", "net.backbone.", "backbone.")
"""Prefixes of the backbone in checkpoints of runs, of detectors first, and in a `Classifier`'s state dict."""


def read(source: str, backbone: Backbone) -> dict[str, Tensor]:
    """Return the state dict of a file, or the library's own for `default`, without wrappers.

    Raises `UserError` if the weights cannot be read.
    """
    if source == "default":
        return _fetch_default(backbone)
    return unwrapped(_read_file(Path(source).expanduser(), source), source)


def _fetch_default(backbone: Backbone) -> dict[str, Tensor]:
    try:
        return dict(backbone.fetch_default_weights())
    except Exception as error:  # libraries raise errors of any kind when a download fails
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        what = f"{backbone.default_weights()} cannot be had"
        hint = "download the file elsewhere and name it"
        raise UserError(f"backbone.weights=default: {what}: {type(error).__name__}: {reason}; {hint}") from error


def _read_file(path: Path, source: str) -> Any:
    if path.is_dir():
        raise UserError(f"backbone.weights={source}: is a folder; name a file of weights in it")
    if not path.is_file():
        raise UserError(f"backbone.weights={source}: no such file")
    if path.suffix == ".safetensors":
        return _read_safetensors(path, source)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, AssertionError, … for damaged files
        problem = f"backbone.weights={source}: cannot be read as weights ({type(error).__name__})"
        objects = _objects_in(path, error)
        if not objects:
            raise UserError(f"{problem}; save a state dict with torch.save") from error
        held = f"it holds {some(objects)} beside tensors, and such objects are not loaded because they could run code"
        raise UserError(f"{problem}: {held}; if you trust the file, save its state dict alone: {ALONE}") from error


def _objects_in(path: Path, error: Exception) -> list[str]:
    """Return the names of the classes and functions in a file that are not loaded."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of a damaged file, or of one in the format before torch 1.6
        names = re.findall(r"GLOBAL ([\w.]+) was not an allowed global", str(error))
    return [name for name in names if re.fullmatch(r"[\w.]{1,100}", name)]


def _read_safetensors(path: Path, source: str) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise UserError(f"backbone.weights={source}: safetensors is not installed: pip install safetensors") from error
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"backbone.weights={source}: cannot be read ({error})") from error


def unwrapped(content: Any, source: str) -> dict[str, Tensor]:
    """Return the backbone's part of a state dict, without what checkpoints and wrappers put around it.

    Raises `UserError` if there is none, or if its tensors are sparse or without values.
    """
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner  # other entries, such as the best accuracy, are not weights
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"backbone.weights={source}: holds no state dict")
    unusable = [str(name) for name, value in content.items() if isinstance(value, Tensor) and not _is_plain(value)]
    if unusable:
        raise UserError(
            f"backbone.weights={source}: holds tensors that are sparse or without values ({some(unusable)})"
        )
    state = {_without_prefixes(str(name)): value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in OURS:
        of_backbone = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if of_backbone:
            return of_backbone
    return state


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_meta and not value.is_quantized


def _without_prefixes(name: str) -> str:
    while name.startswith(WRAPPED):
        name = name.partition(".")[2]
    return name
