"""Check names and types: a composed configuration is compared, leaf by leaf, with a reference that has every key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from attnbench.config import schema
from attnbench.config.search_path import choices_with
from attnbench.errors import UserError, nearest, spelled

OPEN_GROUPS = ("task", "backbone", "attention", "data", "logger", "callbacks", "launch")
"""Groups whose choices each declare keys of their own. In all others every choice has the default choice's keys."""

CLOSED_DEFAULTS = {"recipe": "one_cycle", "trainer": "default"}
"""The choices whose keys all choices of the closed groups have."""
MOST_HINTS = 3

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
    _require_text_keys(values)
    leaves, defaults = schema.flatten(values), schema.flatten(reference)
    for key, value in leaves.items():
        if key not in defaults and has_key(defaults, key):
            raise UserError(_no_mapping(key, value, choices))
        if key not in defaults:
            raise UserError(unknown_key(key, list(defaults), choices, folders))
    for key in defaults:
        if key not in leaves:
            raise UserError(_missing(key, choices))
    for key, default in defaults.items():
        accepts = schema.accepted_types(key, default, declared.get(key))
        try:
            set_leaf(values, key, schema.convert(leaves[key], accepts))
        except schema.ConfigTypeError as mistake:
            raise UserError(f"{key}={spelled(leaves[key])}: {mistake}") from None
    plain = schema.without_declarations(values)
    return RunConfig(plain, choices, identity_leaves(schema.flatten(plain), declared, choices))


def _require_text_keys(tree: Mapping[Any, Any], prefix: str = "") -> None:
    """Raise `UserError` for a key that YAML reads as a number, or as true or false: `1`, `on`."""
    for name, value in tree.items():
        if not isinstance(name, str):
            raise UserError(f"{prefix}{spelled(name)}: a key must be a text; write it in quotes")
        if isinstance(value, dict):
            _require_text_keys(value, f"{prefix}{name}.")


def _no_mapping(key: str, value: Any, choices: Mapping[str, str]) -> str:
    """Return the message for a value in place of a mapping of keys."""
    chosen = f" in a config file, a choice is made under defaults: '- override /{key}: {value}'"
    hint = f";{chosen}" if key in choices and isinstance(value, str | int) else ""
    return f"{key}={spelled(value)}: {key} holds keys, so it must be a mapping{hint}"


def _missing(key: str, choices: Mapping[str, str]) -> str:
    """Return the message for a key that no file sets."""
    group = key.partition(".")[0]
    if group in CLOSED_DEFAULTS and choices.get(group) not in (None, CLOSED_DEFAULTS[group]):
        base = CLOSED_DEFAULTS[group]
        return f"{key}: {group}={choices[group]} does not set it; such a file begins with `defaults: [{base}, _self_]`"
    return f"{key}: missing; a part of the configuration was replaced by something without it"


def unknown_key(key: str, known: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]) -> str:
    """Return the message for a key that does not exist: the nearest name, and the keys that exist."""
    group, _, option = key.partition(".")
    tops = sorted({name.split(".")[0] for name in known} | set(choices))
    if group not in tops:
        meant = likely_keys(key, known, tops) or _in_other_choices(key, folders)
        hint = f"; did you mean {' or '.join(meant)}?" if meant else ""
        return f"{key}: no such key{hint} (top level: {', '.join(tops)})"
    names = [name.removeprefix(f"{group}.") for name in known if name.startswith(f"{group}.")]
    options = [name for name in names if not name.startswith("_")]
    hint = nearest(option, options)
    others = choices_with(group, option, folders) if group in OPEN_GROUPS and not hint else []
    existing = f"it has {', '.join(options)}" if options else "it has no options"
    if others:
        existing += f"; {', '.join(others)} {'has' if len(others) == 1 else 'have'} {option}"
    chosen = f"{group}={choices[group]}" if choices.get(group) else group
    return f"{key}: {chosen} has no such key{hint} ({existing})"


def likely_keys(key: str, known: Sequence[str], tops: Sequence[str]) -> list[str]:
    """Return the keys that end in this word, or in one like it: `lr` is in `recipe.lr`.

    Args:
        key: a word or a dotted key whose group does not exist.
        known: all dotted keys.
        tops: names of the top level.
    """
    group, _, option = key.partition(".")
    ends = {name: name.rpartition(".")[2] for name in known if "._" not in name}
    near = get_close_matches(group, tops if option else [*tops, *ends.values()], n=1, cutoff=0.7)
    meant = {f"{top}.{option}" if option else top: None for top in tops if top in near}
    meant.update({name: None for name, end in ends.items() if end in near and not option})
    return list(meant)[:MOST_HINTS]


def _in_other_choices(key: str, folders: Sequence[Path]) -> list[str]:
    """Return the choices that have an option of this name, although none of the chosen files has it."""
    found = [
        f"{group}.{key} of {group}={choice}" for group in OPEN_GROUPS for choice in choices_with(group, key, folders)
    ]
    return found[:MOST_HINTS]


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
