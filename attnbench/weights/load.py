"""Load `backbone.weights` into a backbone: a file, or the library's own weights (`default`).

Every layer of the backbone must be there in its shape. Left out are, with a notice, the classifier of other classes,
modules that another attention inserted, and auxiliary heads.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from attnbench.backbones.base import Backbone
from attnbench.build import weights_of
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.weights.differences import differences, shape_of
from attnbench.weights.digest import digest_of
from attnbench.weights.prefixes import readings_of, translated
from attnbench.weights.read import read

__all__ = ["StateDictMatch", "content_of", "differences", "fit", "identity_of", "load", "shape_of"]


class StateDictMatch(NamedTuple):
    """The part of a state dict that a backbone takes.

    Attributes:
        state: Tensors under the backbone's names.
        left_out: Descriptions of what is not loaded.
    """

    state: dict[str, Tensor]
    left_out: list[str]


def identity_of(config: RunConfig, backbone: Backbone) -> str | None:
    """Return what identifies a configuration's weights: the SHA-256 of a file, or the name of a library's.

    Reads the weights. Raises `UserError` if they cannot be read or do not fit.
    """
    source = weights_of(config)
    if source is None:
        return None
    fit(backbone, read(source, backbone), source)
    return content_of(config, backbone)


def content_of(config: RunConfig, backbone: Backbone) -> str | None:
    """Return what `identity_of` does, for weights that are known to fit: a file is hashed, and not read as weights."""
    source = weights_of(config)
    return None if source is None else backbone.default_weights() if source == "default" else digest_of(source)


def load(config: RunConfig, backbone: Backbone) -> list[str]:
    """Load a configuration's weights, if it names any, and return descriptions of what is left out."""
    source = weights_of(config)
    if source is None:
        return []
    match = fit(backbone, read(source, backbone), source)
    state = OrderedDict(match.state)
    # the versions of modules: without them torchvision's MNASNet takes weights for those of its first version
    state._metadata = backbone.state_dict()._metadata  # type: ignore[attr-defined]
    backbone.load_state_dict(state, strict=False)
    return match.left_out


def fit(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> StateDictMatch:
    """Compare a state dict with a backbone, without other projects' prefixes if all fits then.

    Raises:
        UserError: it does not fit; the message lists the differences.
    """
    wanted, rejected = backbone.state_dict(), None
    readings = [(reading, translated(reading.state)) for reading in readings_of(state)]
    readings.sort(key=lambda pair: -sum(name in wanted for name in backbone.own_names(pair[1])))
    for reading, inner in readings:
        try:
            match = _fit(backbone, inner, source)
        except UserError as error:
            rejected = rejected or error
        else:
            return StateDictMatch(match.state, [*reading.left_out, *match.left_out])
    raise rejected or UserError(f"backbone.weights={source}: holds no state dict")


def _fit(backbone: Backbone, state: Mapping[str, Tensor], source: str) -> StateDictMatch:
    """Compare a state dict with a backbone, layer by layer. Raises `UserError` that lists the differences."""
    wanted, stored = backbone.state_dict(), backbone.own_names(state)
    taken = {name: value for name, value in stored.items() if name in wanted and value.shape == wanted[name].shape}
    slots = _slots(backbone)
    others = [name for name in stored if name not in taken]
    excuses = {name: _excuse(name, stored[name], wanted.get(name), backbone, slots) for name in others}
    lacking = [name for name in wanted if name not in stored and _is_needed(name, slots)]
    if not any(name.startswith(_heads(backbone)) for name in stored):
        excuses |= dict.fromkeys(
            (name for name in lacking if name.startswith(_heads(backbone))), "the classifier, which they lack"
        )
    faults = [name for name, excuse in excuses.items() if not excuse]
    shapes = (f"{n} is {shape_of(stored[n])} there and {shape_of(wanted[n])} here" for n in faults if n in wanted)
    missing = (name for name in lacking if name not in excuses)
    if complaint := differences(shapes, missing, (n for n in faults if n not in wanted), "the weights"):
        raise UserError(f"backbone.weights={source}: they do not fit: {complaint}")
    return StateDictMatch(taken, list(dict.fromkeys(excuses.values())))


def _excuse(name: str, stored: Tensor, wanted: Tensor | None, backbone: Backbone, slots: tuple[str, ...]) -> str:
    """Return why a stored weight that the backbone cannot take may be left out; empty if it may not."""
    if name.startswith(_heads(backbone)):
        if wanted is None and not backbone.has_classifier:
            return "the classifier, which this network does not have"
        if wanted is not None and stored.ndim == wanted.ndim and stored.shape[1:] == wanted.shape[1:]:
            return f"the classifier, which has {len(stored)} classes there and {len(wanted)} here"
    if name.startswith(slots):
        return "what an attention inserted"
    return "auxiliary heads" if name.startswith(backbone.unused) else ""


def _is_needed(name: str, slots: tuple[str, ...]) -> bool:
    """Return whether the network cannot start without a weight; modules that an attention inserted can."""
    return not name.startswith(slots) and not name.endswith("num_batches_tracked")


def _heads(backbone: Backbone) -> tuple[str, ...]:
    return tuple(f"{path}." for path in backbone.head_paths)


def _slots(backbone: Backbone) -> tuple[str, ...]:
    """Return the prefixes of what any attention may have inserted, or put in the place of layers."""
    paths = (*backbone.slot_paths, *backbone.convolution_slot_paths, *backbone.replaced_paths)
    return tuple(f"{path}." for path in paths)
