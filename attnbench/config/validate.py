"""Check names and types: a composed configuration is compared, leaf by leaf, with a reference that has every key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnbench.config import schema
from attnbench.config.search_path import choices_with
from attnbench.errors import UserError, nearest

OPEN_GROUPS = ("backbone", "attention", "data", "logger", "callbacks")
"""Groups whose choices each declare keys of their own. In all others every choice has the default choice's keys."""

OWN_PACKAGE = "attnbench."
"""Start of the dotted path of attnbench's own classes."""
REVISION = "_revision_"
"""Key beside `_target_`: an integer, raised when the class computes something else under the same options."""
NEUTRAL_REVISION = 1

Tree = dict[str, Any]


@dataclass(frozen=True)
class RunConfig:
    """A checked, resolved configuration of plain data.

    Attributes:
        values: nested dictionaries, by group.
        choices: the chosen file of each group.
        identity: the values that tell this run from others, by dotted key (see `attnbench.runs.identity`).
    """

    values: Tree
    choices: dict[str, str]
    identity: Tree = field(repr=False)

    def __getitem__(self, group: str) -> Any:
        return self.values[group]


def check(
    values: Tree,
    reference: Tree,
    declared: Mapping[str, schema.Declaration],
    choices: dict[str, str],
    folders: Sequence[Path],
) -> RunConfig:
    """Check names and types against a reference, and convert each value to its key's type, in place.

    Args:
        values: the composed configuration, interpolations resolved.
        reference: a configuration with exactly the keys that there may be; its values are the defaults.
        declared: what config files declare of keys, by dotted key.
        choices: the choice made in each group.
        folders: config folders, searched for hints.

    Raises:
        UserError: for the first mistake.
    """
    leaves, defaults = schema.flatten(values), schema.flatten(reference)
    for key in leaves:
        if key not in defaults:
            raise UserError(unknown_key(key, list(defaults), choices, folders))
    for key in defaults:
        if key not in leaves:
            raise UserError(f"{key}: missing; a part of the configuration was replaced by something without it")
    for key, default in defaults.items():
        accepts = schema.accepted_types(key, default, declared.get(key))
        try:
            set_leaf(values, key, schema.convert(leaves[key], accepts))
        except schema.ConfigTypeError as mistake:
            raise UserError(f"{key}={leaves[key]}: {mistake}") from None
    plain = schema.without_declarations(values)
    return RunConfig(plain, choices, identity_leaves(schema.flatten(plain), declared, choices))


def unknown_key(key: str, known: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]) -> str:
    """Return the message for a key that does not exist: the nearest name, and the keys that exist."""
    group, _, option = key.partition(".")
    tops = sorted({name.split(".")[0] for name in known} | set(choices))
    if group not in tops:
        return f"{key}: no such key{nearest(key, [*known, *tops])} (top level: {', '.join(tops)})"
    names = [name.removeprefix(f"{group}.") for name in known if name.startswith(f"{group}.")]
    options = [name for name in names if not name.startswith("_")]
    hint = nearest(option, options)
    others = choices_with(group, option, folders) if group in OPEN_GROUPS and not hint else []
    existing = f"it has {', '.join(options)}" if options else "it has no options"
    if others:
        existing += f"; {', '.join(others)} {'has' if len(others) == 1 else 'have'} {option}"
    chosen = f"{group}={choices[group]}" if choices.get(group) else group
    return f"{key}: {chosen} has no such key{hint} ({existing})"


def has_key(leaves: Mapping[str, Any] | Sequence[str], key: str) -> bool:
    """Return whether a key is a leaf or a node of a tree with these leaves."""
    return key in leaves or any(name.startswith(f"{key}.") for name in leaves)


def set_leaf(tree: Tree, key: str, value: Any) -> None:
    """Set the leaf at a dotted key of nested dictionaries."""
    *parents, name = key.split(".")
    for parent in parents:
        tree = tree[parent]
    tree[name] = value


def identity_leaves(leaves: Tree, declared: Mapping[str, schema.Declaration], choices: Mapping[str, str]) -> Tree:
    """Select the leaves that make a run what it is.

    Left out are keys declared `identity: false`, keys at their neutral value, and display names. Where the code of a
    choice is attnbench's own, the choice's name stands for its `_target_`, so that classes may move between files; a
    `_target_` of the user's own counts as it is written. A class that computes something else under the same options
    raises `_revision_`, which counts from 2 on.

    Args:
        leaves: every leaf of the configuration, by dotted key.
        declared: what is declared of keys.
        choices: the choice made in each group.
    """
    selected: Tree = {}
    for key, value in leaves.items():
        group, _, name = key.rpartition(".")
        if not _counts(key, value, declared):
            continue
        if name == "_target_" and str(value).startswith(OWN_PACKAGE):
            if group in choices:
                selected[group] = choices[group]
            else:  # a callback, which is known by its key: only the class's name counts, wherever it is defined
                selected[key] = OWN_PACKAGE + str(value).rpartition(".")[2]
        else:
            selected[key] = value
    return selected


def _counts(key: str, value: Any, declared: Mapping[str, schema.Declaration]) -> bool:
    """Return whether a leaf changes a run's result."""
    parts = key.split(".")
    if parts[-1] == "_name_" or (parts[-1] == REVISION and value == NEUTRAL_REVISION):
        return False
    prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
    if any(not declared[prefix].identity for prefix in prefixes if prefix in declared):
        return False
    return key not in declared or value != declared[key].neutral
