"""Which run a configuration is: the hash that names its folder."""

import hashlib
import json
from typing import Any

from attnbench.config.parametric_names import short_name
from attnbench.config.validate import RunConfig

DIGITS = 10


def identity(config: RunConfig, fingerprint: str, weights: str | None = None) -> str:
    """Hash of what makes a run what it is: the checked configuration without what is declared not to count (seed,
    locations, display), and the fingerprint of the data that lies at the location. weights: tells the weights that it
    starts with from others, wherever they lie.
    """
    leaves = config.identity if weights is None else {**config.identity, "backbone.weights": weights}
    content: dict[str, Any] = {"config": leaves, "data": fingerprint}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]


def readable_name(config: RunConfig) -> str:
    """`<data>-<backbone>-<attention>`, safe as a folder's name."""
    parts = (short_name(config.choices[group], config[group]) for group in ("data", "backbone", "attention"))
    return "-".join(parts).replace("/", "_")
