"""Compose a configuration with Hydra and check its names and types, without importing torch.

The types come from the YAML defaults: the configuration that the choices of the open groups alone give is the
reference, and what was composed is compared with it. So a mistake is found wherever it was made: on the command line,
in an experiment, or in a recipe of the user's own.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from hydra import compose as hydra_compose
from hydra import version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from hydra.initialize import get_gh_backup, restore_gh_from_backup
from omegaconf import DictConfig, OmegaConf

from attnbench.config import schema
from attnbench.config import search_path as where
from attnbench.config.overrides import Parsed, parse, readable_errors
from attnbench.config.validate import OPEN_GROUPS, RunConfig, Tree, check, knows, unknown
from attnbench.errors import UserError

MAIN = "train"
CLOSED_DEFAULTS = {"recipe": "one_cycle", "trainer": "default"}
"""The choices whose keys all choices of the closed groups have."""

Composed = tuple[Tree, dict[str, str]]
"""A tree before value overrides, and the choice made in each group."""


def compose(overrides: Sequence[str] = (), config_dir: str | None = None, config_name: str | None = None) -> RunConfig:
    """Compose and check a configuration from overrides as on the command line: `attention=bam`, `recipe.epochs=5`.

    config_dir: a folder of further configs. config_name: a primary config other than `train`.
    Raises `UserError`, with what is wrong, where, and what would be right.
    """
    return Composer(config_dir, config_name).compose(overrides)


class Composer:
    """Composes configurations from one set of folders; what Hydra composed once is not composed again."""

    def __init__(self, config_dir: str | None = None, config_name: str | None = None) -> None:
        self.folders = where.search_path(config_dir)
        self.config_name = config_name or MAIN
        self._composed: dict[tuple[str, ...], Composed] = {}

    def compose(self, overrides: Sequence[str]) -> RunConfig:
        """Compose and check one configuration. Raises `UserError`."""
        parsed = parse(overrides, self.folders)
        tree, choices = self.chosen(parsed)
        known = {**schema.flatten(tree), **dict.fromkeys(choices)}
        for override in parsed.values:  # a misspelt key is found before anything else is composed
            if not knows(known, override.key_or_group):
                raise UserError(unknown(override.key_or_group, list(schema.flatten(tree)), choices, self.folders))
        reference = self.reference(tree, choices, parsed.hydra)
        declared = {**schema.declarations(reference), **schema.declarations(tree)}
        return check(apply(tree, parsed.values), reference, declared, choices, self.folders)

    def every_choice(self, group: str) -> dict[str, Tree]:
        """Options of all choices of a group, unchecked: composed at once, as each composition takes a tenth second."""
        names = list(where.choices(group, self.folders))
        lines = [f"+{group}@every.choice{place}={name}" for place, name in enumerate(names)]
        with readable_errors(), hydra_over([*map(str, self.folders)]):
            every: Tree = OmegaConf.to_container(hydra_compose(None, lines).every, resolve=True)  # type: ignore[assignment]
        return {name: schema.strip(every[f"choice{place}"]) for place, name in enumerate(names)}

    def chosen(self, parsed: Parsed) -> Composed:
        """What the choices among the overrides compose to."""
        return self._hydra(self.config_name, parsed.choices, parsed.hydra)

    def reference(self, tree: Tree, choices: Mapping[str, str], hydra: list[Override]) -> Tree:
        """What the choices of the open groups alone give; it tells which keys there are."""
        default = all(choices.get(group) == choice for group, choice in CLOSED_DEFAULTS.items())
        if default and self.config_name == MAIN and not choices.get("experiment"):
            return tree
        lines = [f"{group}={choices[group]}" for group in OPEN_GROUPS if group in choices]
        return self._hydra(MAIN, parse(lines, self.folders).choices, hydra)[0]

    def _hydra(self, name: str, choices: Iterable[Override], hydra: list[Override]) -> Composed:
        lines = [str(override.input_line) for override in (*choices, *hydra) if not _is_search_path(override)]
        mark = (name, *lines)
        if mark not in self._composed:
            with readable_errors(), hydra_over([*map(str, self.folders), *_named_paths(hydra)]):
                self._composed[mark] = self._split(hydra_compose(name, lines, return_hydra_config=True))
        return self._composed[mark]

    def _split(self, composed: DictConfig) -> Composed:
        tree: Tree = OmegaConf.to_container(composed, resolve=False)  # type: ignore[assignment]
        chosen = tree.pop("hydra")["runtime"]["choices"]
        return tree, {group: chosen[group] for group in where.groups(self.folders) if chosen.get(group)}


@contextmanager
def hydra_over(folders: Sequence[str]) -> Iterator[None]:
    """Hydra searching these folders in this order, whatever Hydra this process may be in otherwise.

    Hydra's own `initialize_config_dir` takes one folder, and `hydra.searchpath` comes too late for a primary config.
    """
    path = create_config_search_path(folders[0])
    for folder in folders[1:]:
        location = folder if "://" in folder else f"file://{folder}"
        path.prepend(provider="attnbench", path=location, anchor=SearchPathQuery(provider="schema"))
    version.setbase("1.3")
    backup = get_gh_backup()
    GlobalHydra.instance().clear()
    try:
        Hydra.create_main_hydra2(task_name="attnbench", config_search_path=path)
        yield
    finally:
        restore_gh_from_backup(backup)


def _named_paths(hydra: Iterable[Override]) -> list[str]:
    """The search path that the user named to Hydra."""
    found: list[str] = []
    for override in filter(_is_search_path, hydra):
        named = override.value()
        found += [str(path) for path in named] if isinstance(named, list) else []
    return found


def _is_search_path(override: Override) -> bool:
    return override.key_or_group == "hydra.searchpath"


def apply(tree: Tree, overrides: Sequence[Override]) -> Tree:
    """A copy of a composed tree with value overrides applied and interpolations resolved."""
    with readable_errors():
        config = OmegaConf.create(tree)
        for override in overrides:
            OmegaConf.update(config, override.key_or_group, override.value(), merge=True, force_add=True)
        values: Tree = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return values
