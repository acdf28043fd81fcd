"""The identity of a run: a hash of its configuration and data, which names its folder."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from attnbench.config.compose import Composer
from attnbench.config.parametric_names import short_name
from attnbench.config.recompose import recompose
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError

DIGITS = 10


def identity(config: RunConfig, fingerprint: str, weights: str | None = None) -> str:
    """Return the hash of everything that decides a run's result, up to its seed.

    Args:
        config: a checked configuration; keys that are declared not to count (seed, locations, display) are left out.
        fingerprint: of the data set's files.
        weights: the hash of the weights that the run starts with, in place of their path.
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
        The identity, or None where a record is not enough to compute it: for runs that started from a file of weights
        or had callbacks, and for choices or options that this version does not have.
    """
    starts_from_file = bool(values.get("backbone", {}).get("weights"))
    return None if starts_from_file else identity_by_path(composer, choices, values, fingerprint)


def identity_by_path(
    composer: Composer, choices: Mapping[str, str], values: Mapping[str, Any], fingerprint: str
) -> str | None:
    """Compute the hash in which weights that a run started with count by their path, not by their content.

    It is not the run's identity, and finds the run where the file of weights is not at hand. Arguments and None as in
    `identity_today`, but runs that started from a file have this hash.
    """
    if values.get("callbacks"):
        return None
    try:
        config, _ = recompose(composer, choices, dict(values), [])
    except UserError:
        return None
    return identity(config, fingerprint, weights_by_path(config))


def weights_by_path(config: RunConfig) -> str | None:
    """Return what stands for the weights in `identity_by_path`: their path as a kept record has it; None for none."""
    weights = config.identity.get("backbone.weights")
    return None if weights is None else portable_path(str(weights))


def portable_path(text: str) -> str:
    """Return a path that says nothing of this machine: of an absolute one the last part, and a hash of the whole.

    Any other text is returned as it is.
    """
    if not (PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute() or text.startswith("~/")):
        return text
    name = PureWindowsPath(text).name or "root"  # both kinds of slashes divide
    return f"{name} ({hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]})"


def readable_name(config: RunConfig) -> str:
    """Return `<data>-<backbone>-<attention>`, safe as a folder's name."""
    parts = (short_name(config.choices[group], config[group]) for group in ("data", "backbone", "attention"))
    return "-".join(parts).replace("/", "_")
