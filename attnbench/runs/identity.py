"""Which run a configuration is: the hash that names its folder."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from attnbench.config.compose import Composer
from attnbench.config.parametric_names import short_name
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError

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


def identity_today(
    composer: Composer, choices: Mapping[str, str], values: Mapping[str, Any], fingerprint: str
) -> str | None:
    """Compute the identity that a recorded configuration has under today's scheme.

    Args:
        composer: composes the run's choices as they are today.
        choices: the run's choice in each group.
        values: the run's configuration, as recorded.
        fingerprint: of the data that the run was trained on.

    Returns:
        The identity, or None where a record does not tell it: of runs that started from a file of weights or had
        callbacks, and of choices or options that this version does not have.
    """
    if values.get("callbacks") or values.get("backbone", {}).get("weights"):
        return None
    try:
        config, _ = recompose(composer, choices, dict(values), [])
    except UserError:
        return None
    return identity(config, fingerprint)


def readable_name(config: RunConfig) -> str:
    """`<data>-<backbone>-<attention>`, safe as a folder's name."""
    parts = (short_name(config.choices[group], config[group]) for group in ("data", "backbone", "attention"))
    return "-".join(parts).replace("/", "_")
