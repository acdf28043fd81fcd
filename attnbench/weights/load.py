"""Weights for a backbone, from a file or from the library that it comes from: `backbone.weights`.

A file holds a state dict: as torch.save or safetensors writes it, bare, or within a checkpoint (of this package's runs
as well), or with the prefixes of data parallelism. It is read under `weights_only=True`. Every layer of the backbone
must be there in its shape, but for a classifier of other classes, which is left out.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from attnbench.backbones.base import Backbone
from attnbench.build import weights_of
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net")
"""Keys under which checkpoints hold a state dict."""
WRAPPED = ("module.", "_orig_mod.")
"""Prefixes of data parallelism and of compiled modules."""
OURS = ("net.backbone.", "backbone.")
"""Prefixes of the backbone in checkpoints of runs, and in a `Classifier`'s state dict."""
NAMED = 2
"""Names that a complaint lists; of the others it tells how many there are."""


class StateDictMatch(NamedTuple):
    """What of a state dict is loaded, under the backbone's names, and in words what is left out."""

    state: dict[str, Tensor]
    left_out: list[str]


def identity_of(config: RunConfig, backbone: Backbone) -> str | None:
    """What tells these weights from others: the SHA-256 of a file, the name of a library's. Reads the weights, and
    raises `UserError` if they cannot be had or do not fit.
    """
    source = weights_of(config)
    if source is None:
        return None
    fit(backbone, read(source, backbone), source)
    if source == "default":
        return backbone.default_weights()
    with Path(source).expanduser().open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def load(config: RunConfig, backbone: Backbone) -> list[str]:
    """Load a configuration's weights, if it names any, into a backbone; tells what is left out, in words."""
    source = weights_of(config)
    if source is None:
        return []
    fitting = fit(backbone, read(source, backbone), source)
    state = OrderedDict(fitting.state)
    # the versions of modules: without them torchvision's MNASNet takes weights for those of its first version
    state._metadata = backbone.state_dict()._metadata  # type: ignore[attr-defined]
    backbone.load_state_dict(state, strict=False)
    return fitting.left_out


def read(source: str, backbone: Backbone) -> dict[str, Tensor]:
    """The state dict in a file, or the library's own for `default`, without wrappers. Raises `UserError`."""
    if source != "default":
        return unwrapped(_file(Path(source).expanduser(), source), source)
    try:
        return dict(backbone.fetch_default_weights())
    except Exception as error:  # of whatever kind: libraries reach hubs in ways of their own
        said = str(error).strip().partition("\n")[0].rstrip(".")
        what = f"{backbone.default_weights()} cannot be had"
        hint = "download the file elsewhere and name it"
        raise UserError(f"backbone.weights=default: {what}: {type(error).__name__}: {said}; {hint}") from error


def _file(path: Path, source: str) -> Any:
    if path.is_dir():
        raise UserError(f"backbone.weights={source}: is a folder; name a file of weights in it")
    if not path.is_file():
        raise UserError(f"backbone.weights={source}: no such file")
    if path.suffix == ".safetensors":
        return _safetensors(path, source)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises what it trips over: RuntimeError, UnpicklingError, AssertionError, …
        raise UserError(
            f"backbone.weights={source}: cannot be read as weights ({type(error).__name__}); "
            "a file that torch.save wrote of a state dict can"
        ) from error


def _safetensors(path: Path, source: str) -> Any:
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
    """The backbone's part of a state dict, without what checkpoints and wrappers put around it."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner  # whatever tensors lie beside it, such as the best accuracy
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"backbone.weights={source}: holds no state dict")
    odd = [str(name) for name, value in content.items() if isinstance(value, Tensor) and not _is_plain(value)]
    if odd:
        raise UserError(f"backbone.weights={source}: holds tensors that are sparse or without values ({_some(odd)})")
    state = {_bare(str(name)): value for name, value in content.items() if isinstance(value, Tensor)}
    for prefix in OURS:
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if own:
            return own
    return state


def _is_plain(value: Tensor) -> bool:
    return value.layout == torch.strided and not value.is_meta and not value.is_quantized


def _bare(name: str) -> str:
    while name.startswith(WRAPPED):
        name = name.partition(".")[2]
    return name


def fit(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> StateDictMatch:
    """Hold a state dict against a backbone, layer by layer. Raises `UserError` that tells in what it does not fit."""
    wanted, found = backbone.state_dict(), backbone.own_names(state)
    taken = {name: value for name, value in found.items() if name in wanted and value.shape == wanted[name].shape}
    excuses = {name: _excuse(name, found[name], wanted.get(name), backbone) for name in found if name not in taken}
    lacking = [name for name in wanted if name not in found and _is_needed(name, backbone)]
    if not any(name.startswith(_heads(backbone)) for name in found):
        excuses |= dict.fromkeys(
            (n for n in lacking if n.startswith(_heads(backbone))), "the classifier, which they lack"
        )
    faults = [name for name, excuse in excuses.items() if not excuse]
    shapes = (f"{n} is {shape_of(found[n])} there and {shape_of(wanted[n])} here" for n in faults if n in wanted)
    missing = (name for name in lacking if name not in excuses)
    if complaint := differences(shapes, missing, (n for n in faults if n not in wanted), "the weights"):
        raise UserError(f"backbone.weights={source}: they do not fit: {complaint}")
    return StateDictMatch(taken, list(dict.fromkeys(excuses.values())))


def _excuse(name: str, stored: Tensor, wanted: Tensor | None, backbone: Backbone) -> str:
    """Why a stored weight that the backbone cannot take may be left out; empty if it may not."""
    if name.startswith(_heads(backbone)):
        if wanted is None and not backbone.has_classifier:
            return "the classifier, which this network does not have"
        if wanted is not None and stored.ndim == wanted.ndim and stored.shape[1:] == wanted.shape[1:]:
            return f"the classifier, which has {len(stored)} classes there and {len(wanted)} here"
    if name.startswith(_slots(backbone)):
        return "what an attention inserted"
    return "auxiliary heads" if name.startswith(backbone.unused) else ""


def _is_needed(name: str, backbone: Backbone) -> bool:
    """Whether the network cannot start without a weight: what an attention inserted can."""
    return not name.startswith(_slots(backbone)) and not name.endswith("num_batches_tracked")


def _heads(backbone: Backbone) -> tuple[str, ...]:
    return tuple(f"{path}." for path in backbone.head_paths)


def _slots(backbone: Backbone) -> tuple[str, ...]:
    return tuple(f"{path}." for path in backbone.slot_paths)


def differences(shapes: Iterable[str], missing: Iterable[str], unexpected: Iterable[str], where: str) -> str:
    """Differences of two state dicts in a few words: how many of each kind, and the first ones; empty if none."""
    parts = {"of another shape": shapes, f"not in {where}": missing, f"only in {where}": unexpected}
    named = {what: list(names) for what, names in parts.items()}
    return "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in named.items() if names)


def _some(names: list[str]) -> str:
    return ", ".join([*names[:NAMED], *(["…"] if len(names) > NAMED else [])])


def shape_of(weight: Tensor) -> str:
    """A tensor's shape as people write it: 64x3x7x7."""
    return "x".join(map(str, weight.shape)) or "a number"
