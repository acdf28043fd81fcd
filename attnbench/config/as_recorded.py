"""A trained run's configuration for tables and lists, which need no more than its record."""

import copy
from collections.abc import Mapping
from typing import Any

from attnbench.config import schema, search_path
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse
from attnbench.config.recompose import CHOSEN, KEPT, recompose
from attnbench.config.validate import RunConfig, Tree, identity_leaves
from attnbench.errors import UserError


def read_back(composer: Composer, choices: Mapping[str, str], values: Tree) -> RunConfig:
    """Return a run's configuration; a run of a package that is not at hand has it exactly as it was recorded.

    Args:
        composer: composes the choices as they are today.
        choices: the run's choice in each group, as recorded.
        values: the run's configuration, as recorded.
    """
    try:
        return recompose(composer, choices, values, [])[0]
    except UserError:
        return _as_recorded(composer, choices, values)


def _as_recorded(composer: Composer, choices: Mapping[str, str], values: Tree) -> RunConfig:
    """Return the recorded values; those of choices that are there tell which keys count towards an identity."""
    kept = copy.deepcopy({key: values[key] for key in KEPT if key in values})
    declared = _declarations(composer, choices)
    return RunConfig(kept, dict(choices), identity_leaves(schema.flatten(kept), declared, dict(choices)))


def _declarations(composer: Composer, choices: Mapping[str, str]) -> dict[str, schema.Declaration]:
    chosen = ((group, choices[group]) for group in CHOSEN)
    lines = [f"{group}={name}" for group, name in chosen if name in search_path.choices(group, composer.folders)]
    tree: dict[str, Any] = composer.once(" ".join(["declarations", *lines]), lambda: _composed(composer, lines))
    return schema.declarations(tree)


def _composed(composer: Composer, lines: list[str]) -> Tree:
    return composer.chosen(parse(lines, composer.folders))[0]
