"""Build a network from a checked configuration: constructors check ranges, attaching checks pairs."""

from collections.abc import Callable
from typing import TypeVar

import torch

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.backbones.layers import IMAGENET_STEM_FROM, choose_stem
from attnbench.classifier import Classifier, Network
from attnbench.config.validate import OWN_PACKAGE, RunConfig
from attnbench.construct import build_data, construct_as, guarded, parameters_of
from attnbench.data.bases.dataset import DataSet
from attnbench.errors import UserError

N = TypeVar("N", bound=Network)
OF_BUILD = ("weights", "drop_path")
"""Options of backbones that are dealt with here, unless a backbone's class takes them itself."""


def build_model(config: RunConfig, data: DataSet | None = None, image_size: int | None = None) -> Classifier:
    """Build the classifier of a configuration, with fresh weights from torch's global generator.

    `attnbench.weights.load` loads other weights.

    Args:
        config: a checked configuration, from `compose`.
        data: its data set, if it is built already.
        image_size: height and width of images in pixels, if not those of the data set.

    Raises:
        UserError: an option is out of range, or backbone and attention do not fit together.
    """
    return build_network(config, Classifier, data or build_data(config), image_size)


def build_network(
    config: RunConfig, join: Callable[[Backbone, Attention], N], data: DataSet, image_size: int | None = None
) -> N:
    """Build the backbone and the attention of a configuration, and join them to a network; see `build_model`."""
    size = data.image_size if image_size is None else image_size
    shape = {"num_classes": data.num_classes, "in_channels": data.channels, "image_size": size}
    backbone = build_backbone(config, **shape)
    attention = construct_as(Attention, "attention", config["attention"])
    pair = f"attention={config.choices['attention']} on backbone={config.choices['backbone']}"
    try:
        return guarded("attention", lambda: join(backbone, attention))
    except UserError as error:
        raise type(error)(f"{error} ({pair})") from error


def build_backbone(config: RunConfig, num_classes: int, in_channels: int, image_size: int) -> Backbone:
    """Build the backbone alone, for images (`in_channels`, `image_size`, `image_size`). Raises `UserError`."""
    node = {key: value for key, value in config["backbone"].items() if key not in OF_BUILD or takes(config, key)}
    shape = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size}
    backbone = construct_as(Backbone, "backbone", node, **shape)
    guarded("backbone", lambda: backbone.check_weights_source(weights_of(config)))
    if (rate := config["backbone"].get("drop_path", 0)) and not takes(config, "drop_path"):
        guarded("backbone", lambda: backbone.drop_paths(rate))
    return backbone


def takes(config: RunConfig, option: str) -> bool:
    """Return whether the backbone's class takes an option of `OF_BUILD` itself."""
    return option in parameters_of(config["backbone"]["_target_"])


def weights_of(config: RunConfig) -> str | None:
    """Return the source of the backbone's weights: a file, `default`, or None for fresh ones."""
    found: str | None = None if takes(config, "weights") else config["backbone"].get("weights")
    return found


def stem_note(config: RunConfig, image_size: int) -> str:
    """Return in words what `backbone.stem=auto` stands for, as it decides on the cost; empty for any other stem.

    Args:
        config: a checked configuration.
        image_size: height and width of images in pixels.
    """
    backbone = config["backbone"]
    if backbone.get("stem") != "auto" or not str(backbone["_target_"]).startswith(OWN_PACKAGE):
        return ""
    other = f"imagenet, of far fewer multiply-adds, from {IMAGENET_STEM_FROM} on"
    return f"stem=auto: {choose_stem('auto', image_size)} for images of {image_size} pixels ({other})"


def build_model_on_meta(config: RunConfig, data: DataSet | None = None, image_size: int | None = None) -> Classifier:
    """Build the classifier without memory for its weights, for checks and counts; see `build_model`."""
    return on_meta(config, lambda: build_model(config, data, image_size))


def on_meta(config: RunConfig, build: Callable[[], N]) -> N:
    """Build a configuration's network without memory for its weights.

    Raises:
        UserError: as `build` does, or the number of weights has more than 64 bits.
    """
    try:
        with torch.device("meta"):
            return build()
    except (RuntimeError, TypeError) as error:
        if "overflow" not in str(error).lower():
            raise
        raise UserError(f"backbone={config.choices['backbone']}: more weights than any memory holds") from error
