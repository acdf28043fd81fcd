"""From a checked configuration to a network: ranges are checked by constructors, pairs by attaching."""

import torch

from attnbench.attention.base import Attention
from attnbench.backbones.base import Backbone
from attnbench.config.check import RunConfig
from attnbench.construct import build_data, construct, guarded
from attnbench.data.base import DataSet
from attnbench.errors import UserError
from attnbench.model import Classifier


def build_model(config: RunConfig, data: DataSet | None = None) -> Classifier:
    """Build the classifier, with fresh weights from torch's global generator.

    Raises `UserError` for options out of range and pairs that make no sense.
    """
    data = data or build_data(config)
    shape = {"num_classes": data.num_classes, "in_channels": data.channels, "image_size": data.image_size}
    backbone: Backbone = construct("backbone", config["backbone"], **shape)
    attention: Attention = construct("attention", config["attention"])
    pair = f"attention={config.choices['attention']} on backbone={config.choices['backbone']}"
    try:
        return guarded("attention", lambda: Classifier(backbone, attention))
    except UserError as error:
        raise UserError(f"{error} ({pair})") from error


def build_model_on_meta(config: RunConfig, data: DataSet | None = None) -> Classifier:
    """Build the classifier without memory for its weights: for checks and counts."""
    with torch.device("meta"):
        return build_model(config, data)
