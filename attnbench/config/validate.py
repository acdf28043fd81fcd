"""Names and types: a composed configuration is compared, leaf by leaf, with the reference that tells its keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attnbench.config import schema
from attnbench.config import search_path as where
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

    values: nested dictionaries, by group. choices: the chosen file of each group.
    identity: what of the values makes a run the run that it is, by dotted key (see `attnbench.runs.identity`).
    """

    values: Tree
    choices: dict[str, str]
    identity: Tree = field(repr=False)

    def __getitem__(self, group: str) -> Any:
        return self.values[group]


def check(
    values: Tree,
    reference: Tree,
    declared: Mapping[str, schema.Key],
    choices: dict[str, str],
    folders: Sequence[Path],
) -> RunConfig:
    """Check names and types against a reference. Raises `UserError` for the first mistake."""
    found, known = schema.flatten(values), schema.flatten(reference)
    for key in found:
        if key not in known:
            raise UserError(unknown(key, list(known), choices, folders))
    for key in known:
        if key not in found:
            raise UserError(f"{key}: missing; a part of the configuration was replaced by something without it")
    for key, default in known.items():
        accepts = schema.accepted(key, default, declared.get(key))
        try:
            set_leaf(values, key, schema.convert(found[key], accepts))
        except schema.ConfigTypeError as mistake:
            raise UserError(f"{key}={found[key]}: {mistake}") from None
    plain = schema.strip(values)
    return RunConfig(plain, choices, identity_leaves(schema.flatten(plain), declared, choices))


def unknown(key: str, known: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]) -> str:
    """The message for a key that does not exist: the nearest name, and what there is."""
    group, _, option = key.partition(".")
    tops = sorted({name.split(".")[0] for name in known} | set(choices))
    if group not in tops:
        return f"{key}: no such key{nearest(key, [*known, *tops])} (top level: {', '.join(tops)})"
    names = [name.removeprefix(f"{group}.") for name in known if name.startswith(f"{group}.")]
    options = [name for name in names if not name.startswith("_")]
    hint = nearest(option, options)
    others = where.choices_with(group, option, folders) if group in OPEN_GROUPS and not hint else []
    there_is = f"it has {', '.join(options)}" if options else "it has no options"
    if others:
        there_is += f"; {', '.join(others)} {'has' if len(others) == 1 else 'have'} {option}"
    chosen = f"{group}={choices[group]}" if choices.get(group) else group
    return f"{key}: {chosen} has no such key{hint} ({there_is})"


def knows(known: Mapping[str, Any] | Sequence[str], key: str) -> bool:
    """Whether a key is a leaf or a node of a tree with these leaves."""
    return key in known or any(name.startswith(f"{key}.") for name in known)


def set_leaf(tree: Tree, key: str, value: Any) -> None:
    """Set the leaf at a dotted key of nested dictionaries."""
    *parents, name = key.split(".")
    for parent in parents:
        tree = tree[parent]
    tree[name] = value


def identity_leaves(leaves: Tree, declared: Mapping[str, schema.Key], choices: Mapping[str, str]) -> Tree:
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


def _counts(key: str, value: Any, declared: Mapping[str, schema.Key]) -> bool:
    """Return whether a leaf changes a run's result."""
    parts = key.split(".")
    if parts[-1] == "_name_" or (parts[-1] == REVISION and value == NEUTRAL_REVISION):
        return False
    prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
    if any(not declared[prefix].identity for prefix in prefixes if prefix in declared):
        return False
    return key not in declared or value != declared[key].neutral
