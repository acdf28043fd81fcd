"""Compose a configuration with Hydra and check its names and types, without importing torch.

The types come from the defaults in the YAML files: the choices of the open groups alone are composed too, and every
key of the full configuration must be in that reference, with a value of the same type. So a mistake is found wherever
it was made: on the command line, in an experiment, or in the user's own recipe.
"""

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from attnbench.config import schema, search_path
from attnbench.config.hydra_compat import Composed, OwnSweep, compose_by_hydra, config_folders, is_plain, merge, nested
from attnbench.config.overrides import Parsed, parse, readable_errors
from attnbench.config.validate import CLOSED_DEFAULTS, OPEN_GROUPS, RunConfig, Tree, check, has_key, unknown_key
from attnbench.errors import UserError

T = TypeVar("T")
Chosen = tuple[Tree, dict[str, str]]
"""A configuration before value overrides, and the choice made in each group."""


def compose(overrides: Sequence[str] = (), config_dir: str | None = None, config_name: str | None = None) -> RunConfig:
    """Compose and check a configuration from overrides as on the command line: `attention=bam`, `recipe.epochs=5`.

    Args:
        overrides: choices of groups and values of keys.
        config_dir: a folder of further configs.
        config_name: a primary config other than `train`.

    Raises:
        UserError: says what is wrong, where, and what would be right.
    """
    return Composer(config_dir, config_name).compose(overrides)


class Composer:
    """Composes configurations from one list of config folders, and composes equal choices once.

    Args:
        config_dir: the folder of the user's choices.
        config_name: a primary config other than `train`.
        trusted: packages whose classes a recorded configuration may name in place of its choices' own.
    """

    def __init__(
        self, config_dir: str | None = None, config_name: str | None = None, trusted: Sequence[str] = ()
    ) -> None:
        self.trusted = tuple(trusted)
        self.folders = search_path.search_path(config_dir)
        self.config_name = config_name or search_path.PRIMARY
        self._composed: dict[tuple[str, ...], tuple[Tree, dict[str, str], OwnSweep]] = {}
        self._known: dict[str, Any] = {}

    def compose(self, overrides: Sequence[str]) -> RunConfig:
        """Compose and check one configuration. Raises `UserError`."""
        parsed = parse(overrides, self.folders)
        tree, choices = self.chosen(parsed)
        known = {**schema.flatten(tree), **dict.fromkeys(choices)}
        for override in parsed.values:  # a misspelt key is found before anything else is composed
            if not has_key(known, override.key_or_group):
                raise UserError(unknown_key(override.key_or_group, list(schema.flatten(tree)), choices, self.folders))
        reference = self.reference(tree, choices, parsed.hydra)
        declared = {**schema.declarations(reference), **schema.declarations(tree)}
        return check(apply(tree, parsed.values), reference, declared, choices, self.folders)

    def once(self, key: str, compose: Callable[[], T]) -> T:
        """Return what a function returned, or raise the `UserError` that it raised, when first called for a key."""
        if key not in self._known:
            try:
                self._known[key] = compose()
            except UserError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, UserError):
            raise type(known)(str(known))
        found: T = known
        return found

    def every_choice(self, group: str) -> dict[str, Tree]:
        """Compose every choice of a group in one go and return each one's options. They are not validated."""
        names = list(search_path.choices(group, self.folders))
        lines = [f"+{group}@every.choice{place}={name}" for place, name in enumerate(names)]
        with readable_errors(self.folders):
            composed = config_folders(tuple(map(str, self.folders))).compose(None, lines)
            every = apply(composed.tree, [])["every"]
        return {name: schema.without_declarations(every[f"choice{place}"]) for place, name in enumerate(names)}

    def chosen(self, parsed: Parsed) -> Chosen:
        """Compose the choices among the overrides. The result is shared: do not change it."""
        return self._compose(self.config_name, parsed.choices, parsed.hydra)[:2]

    def own_sweep(self, overrides: Sequence[str]) -> OwnSweep:
        """Return the sweep that the chosen config files ask for, choices with several values aside."""
        parsed = parse(overrides, self.folders, sweep=True)
        single = [override for override in parsed.choices if not override.is_sweep_override()]
        return self._compose(self.config_name, single, parsed.hydra)[2]

    def reference(self, tree: Tree, choices: Mapping[str, str], hydra: list[Override]) -> Tree:
        """Compose the choices of the open groups alone, which decide the keys that there are."""
        default = all(choices.get(group) == choice for group, choice in CLOSED_DEFAULTS.items())
        if default and self.config_name == search_path.PRIMARY and not choices.get("experiment"):
            return tree
        lines = [f"{group}={choices[group]}" for group in OPEN_GROUPS if group in choices]
        return self._compose(search_path.PRIMARY, parse(lines, self.folders).choices, hydra)[0]

    def _compose(
        self, name: str, choices: Iterable[Override], hydra: list[Override]
    ) -> tuple[Tree, dict[str, str], OwnSweep]:
        choices = list(choices)
        lines = [str(override.input_line) for override in choices]
        key = (name, *lines, *(str(override.input_line) for override in hydra))
        if key not in self._composed:
            with readable_errors(self.folders):
                tree, made, sweep = self._compose_lines(name, lines, hydra)
            made |= _several(choices)
            known_groups = search_path.groups(self.folders)
            self._composed[key] = tree, {group: str(made[group]) for group in known_groups if made.get(group)}, sweep
        return self._composed[key]

    def _compose_lines(self, name: str, lines: list[str], hydra: list[Override]) -> Composed:
        folders = tuple(map(str, self.folders))
        if not hydra:
            return config_folders(folders).compose(name, lines)
        more = [str(override.input_line) for override in hydra if not _is_search_path(override)]
        return compose_by_hydra([*folders, *_named_folders(hydra)], name, [*lines, *more])


def _several(choices: Iterable[Override]) -> dict[str, str]:
    """Return the groups of which several choices are made, which Hydra does not list: `logger` -> `[csv,aim]`."""
    several = (override for override in choices if isinstance(override.value(), list))
    return {override.key_or_group: str(override.input_line).partition("=")[2] for override in several}


def apply(tree: Tree, overrides: Sequence[Override]) -> Tree:
    """Return a copy of a composed tree with value overrides applied and interpolations resolved."""
    with readable_errors():
        values = [(str(override.key_or_group), override.value()) for override in overrides]
        if not is_plain(tree) or not all(is_plain(value) for _, value in values):
            return _apply_by_omegaconf(tree, values)
        result = copy.deepcopy(tree)
        for key, value in values:
            merge(result, nested(key, value))
        return result


def _apply_by_omegaconf(tree: Tree, values: Iterable[tuple[str, object]]) -> Tree:
    config = OmegaConf.create(tree)
    for key, value in values:
        OmegaConf.update(config, key, value, merge=True, force_add=True)
    result: Tree = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return result


def _named_folders(hydra: Iterable[Override]) -> list[str]:
    """Return the folders that the user named with `hydra.searchpath`."""
    folders: list[str] = []
    for override in filter(_is_search_path, hydra):
        named = override.value()
        folders += [str(path) for path in named] if isinstance(named, list) else []
    return folders


def _is_search_path(override: Override) -> bool:
    return override.key_or_group == "hydra.searchpath"
