"""Build a network again from a safetensors file that `attnbench export` wrote; neither run nor data are needed."""

import json
import struct
from pathlib import Path
from typing import Any

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.build import OF_BUILD
from attnbench.classifier import Classifier
from attnbench.construct import construct_as, guarded, parameters_of
from attnbench.errors import UserError
from attnbench.export.network import PixelClassifier

CARD = "attnbench"
"""Key of the model card in a file's metadata."""
OURS = "attnbench."


def load_safetensors(path: str | Path, own_code: bool = False) -> PixelClassifier:
    """Load an exported network with its weights, in evaluation mode.

    Args:
        path: a file that `attnbench export --format safetensors` wrote.
        own_code: import classes that are not attnbench's, if the file names any. Only for files that you trust: their
            names decide what is imported and called.

    Raises:
        UserError: the file cannot be read, or was not written by attnbench.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return from_safetensors(content, own_code)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def from_safetensors(content: bytes, own_code: bool = False) -> PixelClassifier:
    """Build the network of a file's content. Arguments and errors as in `load_safetensors`."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    card = read_card(content)
    try:
        weights = load(content)
        network = build(card, own_code)
        network.net.load_state_dict(weights)
    except (SafetensorError, RuntimeError, KeyError) as error:
        raise UserError(f"the network cannot be built: {str(error).splitlines()[0]}") from error
    return network.eval()


def read_card(content: bytes) -> dict[str, Any]:
    """Return the model card in a safetensors file. Raises `UserError` if there is none."""
    try:  # the header's length in 8 bytes, then the header in JSON
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8 : 8 + length])
        card = json.loads(header["__metadata__"][CARD])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise UserError("is no safetensors file of attnbench export") from error
    if not isinstance(card, dict):
        raise UserError("is no safetensors file of attnbench export")
    return card


def build(card: dict[str, Any], own_code: bool = False) -> PixelClassifier:
    """Build a card's network with fresh weights. Raises `UserError` for code that is not attnbench's."""
    config, images, classes = card["config"], card["input"], card["classes"]
    for group in ("backbone", "attention"):
        target = str(config[group].get("_target_"))
        if not own_code and not target.startswith(f"{OURS}{group}"):
            raise UserError(f"names code that is not attnbench's ({target}); own_code=True imports it")
    shape = {"num_classes": len(classes), "in_channels": images["channels"], "image_size": images["image_size"]}
    backbone = _build_backbone(config["backbone"], shape)
    attention = construct_as(Attention, "attention", config["attention"])
    net = guarded("attention", lambda: Classifier(backbone, attention))
    return PixelClassifier(net, images["mean"], images["std"], images["pixels"], maps=images["maps"])


def _build_backbone(options: dict[str, Any], shape: dict[str, int]) -> Backbone:
    """Build a backbone. That it started from its library's weights may decide how it reads images."""
    taken = parameters_of(options["_target_"])
    own = "weights" in taken
    node = {key: value for key, value in options.items() if key not in OF_BUILD or key in taken}
    node |= {"weights": None} if own else {}
    backbone = construct_as(Backbone, "backbone", node, **shape)
    source = "default" if options.get("weights") == "default" and not own else None
    guarded("backbone", lambda: backbone.check_weights_source(source))
    return backbone
