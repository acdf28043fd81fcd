"""All uses of Hydra's private names, which a new release of Hydra may change; `tests/config/test_hydra_compat.py`
names those that are missing.

Hydra composes each configuration from scratch, in about 80 ms, most of it spent on its own `hydra` node and on merging
OmegaConf's nodes. `ConfigFolders` lets Hydra decide which files make up a configuration, and merges their content
itself; interpolations are resolved later. Where a file or an override asks for more than that, Hydra does all of it.
"""

import argparse
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.utils import JobRuntime, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf

from attnbench.config.file_state import FileStates
from attnbench.config.grammar import read
from attnbench.config.hydra_files_compat import watch
from attnbench.config.search_path import PRIMARY

Tree = dict[str, Any]


@dataclass(frozen=True)
class OwnSweep:
    """A sweep that config files ask for under `hydra`, beside overrides that have several values.

    Attributes:
        mode: `MULTIRUN`, `RUN`, or None where no file says.
        params: values by key, as in overrides: `0,1,2`.
    """

    mode: str | None = None
    params: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, hydra: Mapping[str, Any]) -> "OwnSweep":
        """Return what a composed `hydra` node says."""
        mode, sweeper = hydra.get("mode"), hydra.get("sweeper")
        params = sweeper.get("params") if isinstance(sweeper, dict) else None
        return cls(mode and mode.name, {str(key): str(value) for key, value in (params or {}).items()})


class Composed(NamedTuple):
    """A configuration without the `hydra` node, interpolations unresolved, and the choice made in each group."""

    tree: Tree
    choices: dict[str, str | None]
    sweep: OwnSweep = OwnSweep()


VERSION_BASE = "1.3"


@lru_cache(maxsize=16)
def config_folders(folders: tuple[str, ...]) -> "ConfigFolders":
    """Return the one `ConfigFolders` of these folders."""
    return ConfigFolders(folders)


class ConfigFolders:
    """Folders of configs in order of precedence; what was composed of them is kept until a file changes."""

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = tuple(folders)
        self._forget()

    def _forget(self) -> None:
        self._files = FileStates()
        self._repository = _open_repository(self.folders, self._files)
        self._contents: dict[str, Tree | None] = {}
        self._composed: dict[tuple[str | None, ...], Composed] = {}

    def compose(self, config_name: str | None, choices: Sequence[str]) -> Composed:
        """Compose a primary config under choices of groups: `attention=bam`.

        Args:
            config_name: the primary config; None for an empty one.
            choices: overrides that choose a file of a group, and nothing else.

        Returns:
            A configuration that the caller must not change, and its choices.

        Raises:
            HydraException, OmegaConfBaseException, YAMLError, ValueError: what Hydra raises.
        """
        if not self._files.unchanged():
            self._forget()
        key = (config_name, *choices)
        if key not in self._composed:
            plain = self._compose_plain(config_name, choices)
            self._composed[key] = plain or compose_by_hydra(self.folders, config_name, choices)
        return self._composed[key]

    def _compose_plain(self, config_name: str | None, choices: Sequence[str]) -> Composed | None:
        """Merge the files that Hydra finds for these choices; None if Hydra has to do it."""
        _prepare_hydra()
        if config_name is not None and self._repository.config_exists(config_name) and not self._content(config_name):
            return None  # it may name further folders
        overrides = list(map(read, choices))
        found = create_defaults_list(self._repository, config_name, overrides, prepend_hydra=True, skip_missing=False)
        tree: Tree = {}
        for default in found.defaults:
            path = str(default.config_path)
            if path.startswith("hydra/"):
                continue
            content = self._content(path)
            if content is None:
                return None
            values = nested(default.package, content) if default.package else content
            if _extends_interpolation(tree, values):
                return None  # OmegaConf follows it first
            merge(tree, values)
        return None if found.config_overrides else Composed(tree, dict(found.overrides.known_choices))

    def _content(self, path: str) -> Tree | None:
        """Return what a config file contains, its defaults list aside; None if that is more than plain values."""
        if path not in self._contents:
            loaded = self._repository.load_config(path)
            self._contents[path] = _plain_content(path, loaded) if loaded else None
        return self._contents[path]


def compose_by_hydra(folders: Sequence[str], config_name: str | None, overrides: Sequence[str]) -> Composed:
    """Compose with nothing but Hydra. Folders may be locations of other kinds, such as `pkg://package`."""
    _prepare_hydra()
    loader = ConfigLoaderImpl(config_search_path=_search_path(folders))
    watch(loader.repository)
    try:
        config = loader.load_configuration(config_name, list(overrides), RunMode.RUN, from_shell=False)
    except (AssertionError, AttributeError, TypeError, LookupError) as error:  # Hydra does not check what it gets
        raise ValueError(f"Hydra cannot compose {', '.join(overrides)}: {error}") from error
    tree: Tree = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    hydra = tree.pop("hydra")
    return Composed(tree, hydra["runtime"]["choices"], OwnSweep.of(hydra))


def merge(tree: Tree, values: Mapping[str, Any]) -> None:
    """Merge values into a tree: dictionaries key by key, anything else in place of what was there."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            merge(tree[key], value)
        else:
            tree[key] = copy.deepcopy(value)


def _extends_interpolation(tree: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Return whether values would be merged into a node that is an interpolation so far."""
    return any(
        _extends_interpolation(tree[key], value) if isinstance(tree[key], dict) else not is_plain(tree[key])
        for key, value in values.items()
        if isinstance(value, dict) and key in tree
    )


def nested(key: str, value: Any) -> Tree:
    """Return nested dictionaries with one value, at a dotted key."""
    first, _, rest = key.partition(".")
    return {first: nested(rest, value) if rest else value}


def is_mergeable(value: Any) -> bool:
    """Return whether a value can be merged before it is resolved: an interpolation can, a missing value cannot."""
    return "???" not in _leaves(value)


def is_plain(value: Any) -> bool:
    """Return whether a value means the same to OmegaConf as to Python: no interpolation, nothing missing (`???`)."""
    return is_mergeable(value) and not any(isinstance(leaf, str) and "${" in leaf for leaf in _leaves(value))


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the values inside nested dictionaries and lists."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _leaves(part)
    else:
        yield value


def run_hydra_command(words: Sequence[str], task: TaskFunction, folder: str, config_name: str) -> None:
    """Let Hydra act on a command line, as `hydra.main` does. Raises `SystemExit` where Hydra ends the process."""
    parser = get_args_parser()
    arguments: argparse.Namespace = parser.parse_args(list(words))
    version.setbase(VERSION_BASE)
    _run_hydra(arguments, parser, task, folder, config_name)


def _open_repository(folders: Sequence[str], files: FileStates) -> CachingConfigRepository:
    _prepare_hydra()
    repository = CachingConfigRepository(ConfigRepository(_search_path(folders)))
    watch(repository, files.note)
    return repository


def _search_path(folders: Sequence[str]) -> ConfigSearchPath:
    """Return Hydra's search path over these folders in this order, before Hydra's own configs.

    Hydra's `initialize_config_dir` takes one folder, and `hydra.searchpath` comes too late for a primary config.
    """
    path = create_config_search_path(folders[0])
    for folder in folders[1:]:
        location = folder if "://" in folder else f"file://{folder}"
        path.prepend(provider="attnbench", path=location, anchor=SearchPathQuery(provider="schema"))
    return path


def _prepare_hydra() -> None:
    """Set what Hydra expects of its process: `hydra.main` may not have run."""
    version.setbase(VERSION_BASE)
    setup_globals()
    JobRuntime().set("name", "attnbench")


def _plain_content(path: str, loaded: ConfigResult) -> Tree | None:
    """Return a loaded file's content if it is a mapping of plain values that leaves Hydra itself alone."""
    config = loaded.config
    if not isinstance(config, DictConfig) or loaded.is_schema_source or OmegaConf.get_type(config) is not dict:
        return None
    content: Tree = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    hydra = content.pop("hydra", None)
    return content if is_mergeable(content) and (hydra is None or path == PRIMARY) else None
