"""The command that trains a recorded run again."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from attnbench.config import schema
from attnbench.config.compose import Composer, apply
from attnbench.config.overrides import parse
from attnbench.config.parametric_names import short_name
from attnbench.config.quoting import override
from attnbench.config.validate import Tree, identity_leaves

SILENT = ("logger", "launch", "run", "sweep", "output", "seed")
"""Parts of a configuration that say nothing of a run's result, and the seed."""


def training_command(
    composer: Composer, choices: Mapping[str, str], values: Tree, seeds: Sequence[int], config_dir: str | None = None
) -> str:
    """Return the command that trains runs of a recorded configuration, as a shell reads it.

    Folders of this machine are named DIR, and files by their last part: the command may be published.

    Args:
        composer: composes the choices as they are today.
        choices: the runs' choice in each group, as recorded.
        values: their configuration, as recorded.
        seeds: of the runs.
        config_dir: the folder of the user's own choices.

    Raises:
        UserError: this version does not have one of the choices, or no override has one of the values.
    """
    words = ["attnbench train", *(["-m"] if len(seeds) > 1 else [])]
    words += [f"--config-dir {shlex.quote(config_dir)}"] if config_dir else []
    return " ".join([*words, *overrides_of(composer, choices, values), f"seed={','.join(map(str, seeds))}"])


def overrides_of(composer: Composer, choices: Mapping[str, str], values: Tree) -> list[str]:
    """Return the overrides that compose a recorded configuration: choices, and values that differ from theirs.

    Args and errors are those of `training_command`.
    """
    names = {group: short_name(choice, values.get(group, {})) for group, choice in choices.items()}
    usual = composer.compose([]).choices
    lines = [f"{group}={name}" for group, name in names.items() if name != usual.get(group) and group not in SILENT]
    parsed = parse(lines, composer.folders)
    tree = apply(composer.chosen(parsed)[0], parsed.values)
    composed, recorded = schema.flatten(tree), schema.flatten(values)
    counted = {
        key
        for leaves in (composed, recorded)
        for key in identity_leaves(leaves, schema.declarations(tree), dict(choices))
    }
    changed = [key for key in composed if key in counted and key in recorded and recorded[key] != composed[key]]
    lines += [override(key, _shown(recorded[key])) for key in changed if key.partition(".")[0] not in SILENT]
    if recorded.get("data.root") != composed.get("data.root"):
        lines.append("data.root=DIR")
    return lines


def _shown(value: Any) -> Any:
    """Return a value that may be published: of an absolute path only its last part."""
    return PurePath(value).name if isinstance(value, str) and PurePath(value).is_absolute() else value
