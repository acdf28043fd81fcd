"""Compose a configuration with Hydra and check its names and types.

The types come from the YAML defaults: the configuration that the choices of the open groups alone give is the
reference, and what was composed is compared with it leaf by leaf. So a mistake is found wherever it was made: on the
command line, in an experiment, or in a recipe of the user's own.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from attnbench.config import folders as where
from attnbench.config import keys
from attnbench.config.names import spell_out
from attnbench.errors import UserError

MAIN = "train"
OPEN_GROUPS = ("backbone", "attention", "data", "logger", "callbacks")
"""Groups whose choices each declare keys of their own. In all others every choice has the default choice's keys."""

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


@dataclass(frozen=True)
class Parsed:
    """Overrides by what they are: choices of groups, values of keys, and what is Hydra's own."""

    choices: list[Override]
    values: list[Override]
    hydra: list[Override]


def compose(
    overrides: Sequence[str] = (), config_dir: str | None = None, config_name: str | None = None
) -> RunConfig:
    """Compose and check a configuration from overrides as on the command line: `attention=bam`, `recipe.epochs=5`.

    config_dir: a folder of further configs. config_name: a primary config other than `train`.
    Raises `UserError`, with what is wrong, where, and what would be right.
    """
    folders = where.search_path(config_dir)
    parsed = parse(overrides, folders)
    with readable_errors(), initialize_config_dir(str(folders[0]), version_base="1.3"):
        tree, choices = _compose(parsed, folders, config_name or MAIN)
        _check_names(parsed.values, tree, choices, folders)
        reference = tree
        if config_name not in (None, MAIN) or choices.get("experiment") or _closed(choices):
            reference = _reference(choices, parsed.hydra, folders)
        declared = {**keys.declarations(reference), **keys.declarations(tree)}
        values = _apply(tree, parsed.values)
    return check(values, reference, declared, choices, folders)


def parse(overrides: Sequence[str], folders: Sequence[Path], sweep: bool = False) -> Parsed:
    """Parse overrides, spell out names like `wrn28_10`, and refuse removals, unknown choices and, unless in a sweep,
    several values for one key.
    """
    groups = where.groups(folders)
    result = Parsed([], [], [])
    for override in map(parse_one, overrides):
        name, text = override.key_or_group, override.input_line
        if override.is_delete():
            raise UserError(f"{text}: keys cannot be removed")
        if override.is_sweep_override() and not sweep:
            raise UserError(f"{text}: to try several values add -m; a list is written {name}=[…]")
        if name.split("/")[0].split(".")[0] == "hydra":
            result.hydra.append(override)
        elif override.package is not None:
            raise UserError(f"{text}: a group cannot be moved; write {name}=…")
        elif name in groups and not isinstance(override.value(), dict):
            result.choices.append(override)
        else:
            result.values.append(override)
    return spell_out_names(result, folders)


def parse_one(text: str) -> Override:
    """Parse one override. Raises `UserError` that shows it."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason = " ".join(str(error).split("See https")[0].split())
        raise UserError(f"{text}: not an override of the form key=value: {reason}") from None
    if not override.key_or_group:
        raise UserError(f"{text}: the key is missing; an override is written key=value")
    return override


def spell_out_names(parsed: Parsed, folders: Sequence[Path]) -> Parsed:
    """Replace choices like `backbone=wrn28_10` by `backbone=wrn` and the values that the name holds."""
    choices, values = [], []
    for override in parsed.choices:
        group, choice = override.key_or_group, override.value()
        if override.is_sweep_override():
            choices.append(override)
        elif choice is not None or group != "experiment":  # experiment=null is the default: nothing to compose
            name = "null" if choice is None else str(choice)
            base, held = spell_out(group, name, folders)
            where.check_choice(group, base, folders)
            choices.append(parse_one(f"{group}={base}"))
            values += [parse_one(f"{group}.{key}={value}") for key, value in held.items()]
    return Parsed(choices, values + parsed.values, parsed.hydra)


def check(
    values: Tree,
    reference: Tree,
    declared: Mapping[str, keys.Key],
    choices: dict[str, str],
    folders: Sequence[Path] = (),
) -> RunConfig:
    """Compare a configuration with its reference, leaf by leaf. Raises `UserError`."""
    found, known = keys.flatten(values), keys.flatten(reference)
    for key in found:
        if key not in known:
            raise UserError(unknown(key, list(known), choices, folders))
    for key in known:
        if key not in found:
            raise UserError(f"{key}: missing; a part of the configuration was replaced by something without it")
    for key, default in known.items():
        accepts = keys.accepted(key, default, declared.get(key))
        try:
            set_leaf(values, key, keys.convert(found[key], accepts))
        except keys.Mistyped as mistake:
            raise UserError(f"{key}={found[key]}: {mistake}") from None
    plain = keys.strip(values)
    return RunConfig(plain, choices, _identity(keys.flatten(plain), declared))


def unknown(key: str, known: Sequence[str], choices: Mapping[str, str], folders: Sequence[Path]) -> str:
    """The message for a key that does not exist: the nearest name, and what there is."""
    group, _, option = key.partition(".")
    tops = sorted({name.split(".")[0] for name in known} | set(choices))
    if group not in tops:
        return f"{key}: no such key{where.nearest(key, [*known, *tops])} (top level: {', '.join(tops)})"
    names = [name.removeprefix(f"{group}.") for name in known if name.startswith(f"{group}.")]
    options = [name for name in names if not name.startswith("_")]
    hint = where.nearest(option, options)
    others = where.choices_with(group, option, folders) if group in OPEN_GROUPS and not hint else []
    there_is = f"it has {', '.join(options)}" if options else "it has no options"
    if others:
        there_is += f"; {', '.join(others)} has {option}"
    chosen = f"{group}={choices[group]}" if choices.get(group) else group
    return f"{key}: {chosen} has no such key{hint} ({there_is})"


def set_leaf(tree: Tree, key: str, value: Any) -> None:
    """Set the leaf at a dotted key of nested dictionaries."""
    *parents, name = key.split(".")
    for parent in parents:
        tree = tree[parent]
    tree[name] = value


def _identity(leaves: Tree, declared: Mapping[str, keys.Key]) -> Tree:
    """The leaves that make a run what it is: without what is declared `identity: false`, or neutral."""

    def counts(key: str, value: Any) -> bool:
        parts = key.split(".")
        prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
        if any(not declared[prefix].identity for prefix in prefixes if prefix in declared):
            return False
        return key not in declared or value != declared[key].neutral

    return {key: value for key, value in leaves.items() if counts(key, value)}


def _check_names(overrides: Sequence[Override], tree: Tree, choices: dict[str, str], folders: Sequence[Path]) -> None:
    """Find misspelt keys on the command line before anything else is composed."""
    known = keys.flatten(tree)
    for override in overrides:
        key = override.key_or_group
        if key not in known and not any(name.startswith(f"{key}.") for name in (*known, *(f"{g}." for g in choices))):
            raise UserError(unknown(key, list(known), choices, folders))


def _compose(parsed: Parsed, folders: Sequence[Path], config_name: str) -> tuple[Tree, dict[str, str]]:
    """The composed tree before value overrides, and the choice made in each of our groups."""
    lines = [override.input_line or "" for override in (*parsed.choices, *parsed.hydra)]
    composed = hydra_compose(config_name, [*lines, _hydra_path(folders, parsed.hydra)], return_hydra_config=True)
    chosen: dict[str, str] = OmegaConf.to_container(composed.hydra.runtime.choices)  # type: ignore[assignment]
    choices = {group: chosen[group] for group in where.groups(folders) if chosen.get(group)}
    return _tree(composed), choices


def _reference(choices: dict[str, str], hydra: list[Override], folders: Sequence[Path]) -> Tree:
    """What the choices of the open groups alone give."""
    lines = [f"{group}={choices[group]}" for group in OPEN_GROUPS if group in choices]
    parsed = Parsed([parse_one(line) for line in lines], [], hydra)
    return _compose(parsed, folders, MAIN)[0]


def _closed(choices: Mapping[str, str]) -> bool:
    """Whether a closed group has another choice than the default one."""
    return choices.get("recipe") != "one_cycle" or choices.get("trainer") != "default"


def _hydra_path(folders: Sequence[Path], hydra: list[Override]) -> str:
    """The override that makes Hydra search the added folders, those that the user named to Hydra included."""
    paths = [f"file://{folder}" for folder in folders[1:]]
    for override in list(hydra):
        if override.key_or_group == "hydra.searchpath":
            named = override.value()
            paths += [str(path) for path in named] if isinstance(named, list) else []
            hydra.remove(override)
    quoted = ("'" + path.replace("\\", "\\\\").replace("'", "\\'") + "'" for path in paths)
    return f"hydra.searchpath=[{','.join(quoted)}]"


def _tree(composed: DictConfig) -> Tree:
    tree: Tree = OmegaConf.to_container(composed, resolve=False)  # type: ignore[assignment]
    del tree["hydra"]
    return tree


def _apply(tree: Tree, overrides: Sequence[Override]) -> Tree:
    """A copy of the tree with value overrides applied and interpolations resolved."""
    config = OmegaConf.create(tree)
    for override in overrides:
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
    values: Tree = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what Hydra, OmegaConf and the YAML parser raise into one line for the user."""
    try:
        yield
    except MissingConfigException as error:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = list(error.options or ())
        offered = f" (choices: {', '.join(options)})" if options else ""
        raise UserError(f"{group or 'config'}={choice}: no such choice{where.nearest(choice, options)}{offered}") from None
    except yaml.YAMLError as error:
        raise UserError("YAML: " + " ".join(str(error).split())) from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        raise UserError(" ".join(str(cause).split("See https")[0].split())) from None
