"""The folders of configuration files, and the choices that each config group offers."""

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from attnbench.errors import UserError, nearest

PRIMARY = "train"
"""The primary config: what is composed unless the user names another one."""

ENTRY_POINTS = "attnbench.configs"
"""Entry-point group through which another package adds a folder of configs: `mine = "package.folder"`."""

OF_OTHERS = ("hydra", "paper", "search")
"""Folders of configs that no run is composed of."""

MERGED = ("hydra", "paper")
"""Folders of which all files of a name count."""

TARGET = re.compile(r"^_target_:\s*(\S+)", re.MULTILINE)
NAME_PATTERN = re.compile(r"^_name_:\s*(\S+)", re.MULTILINE)


def shipped() -> Path:
    """Return the folder of configs that comes with attnbench: inside the package (wheel) or beside it (checkout)."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "configs", package.parent / "configs"):
        if (folder / f"{PRIMARY}.yaml").is_file():
            return folder
    raise UserError(f"the installation is damaged: no configs in {package} or beside it; reinstall attnbench")


def installed() -> list[Path]:
    """Return the folders that other packages add, without importing those packages."""
    return list(_installed(tuple(sys.path)))


@lru_cache(maxsize=4)
def _installed(import_path: tuple[str, ...]) -> tuple[Path, ...]:
    """Read the metadata of all installed packages, which takes milliseconds: once per import path."""
    del import_path
    return tuple(_entry_point_folder(entry.name, entry.value) for entry in entry_points(group=ENTRY_POINTS))


def _entry_point_folder(name: str, value: str) -> Path:
    package, *parts = value.split(".")
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec else None
    folder = Path(next(iter(locations)), *parts) if locations else None
    if folder is None or not folder.is_dir():
        raise UserError(f"entry point {name} of {ENTRY_POINTS}: {value} is not a folder of configs")
    return folder


def search_path(config_dir: str | None = None) -> list[Path]:
    """Return all config folders in order of precedence: attnbench's, those of other packages, `--config-dir`.

    Raises:
        UserError: there is no such folder, or a file in it has the name of another one, which would be taken.
    """
    folders = [shipped(), *installed()]
    if config_dir is not None:
        users_own = Path(config_dir).resolve()
        if not users_own.is_dir():
            raise UserError(f"--config-dir {config_dir}: no such folder")
        for path in sorted(users_own.glob("*/*.yaml")):
            name = path.relative_to(users_own)
            if name.parts[0] not in MERGED and any(_differs(folder / name, path) for folder in folders):
                raise UserError(f"--config-dir {config_dir}: {name.as_posix()}: the name is taken; rename the file")
        folders.append(users_own)
    return folders


def _differs(known: Path, own: Path) -> bool:
    """Return whether there is a known file, with other content than the user's own of the same name."""
    return known.is_file() and own.is_file() and known.read_bytes() != own.read_bytes()


def groups(folders: Sequence[Path]) -> list[str]:
    """Return the names of the groups that a run is composed of: without Hydra's, the papers' tables, search spaces."""
    names = {path.name for folder in folders for path in folder.iterdir() if path.is_dir()} - set(OF_OTHERS)
    return sorted(name for name in names if not name.startswith((".", "_")))


def choices(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """Return a group's files by the name to choose them by; the first folder that has a name wins."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            if path.is_file():
                files.setdefault(path.stem, path)
    return dict(sorted(files.items(), key=lambda item: natural_order(item[0])))


def natural_order(name: str) -> list[tuple[int, int | str]]:
    """Return a sort key that puts resnet20 before resnet110."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts if part]


def name_patterns(group: str, folders: Sequence[Path]) -> dict[str, str]:
    """Return the pattern of each choice whose name holds values: `wrn` -> `wrn{depth}_{width}`."""
    patterns = {}
    for choice, path in choices(group, folders).items():
        match = NAME_PATTERN.search(_text(path))
        if match:
            patterns[choice] = match.group(1)
    return patterns


def targets(folders: Sequence[Path]) -> set[str]:
    """Return the classes that choices in folders other than attnbench's own name."""
    own = shipped()
    files = (path for folder in folders if folder != own for path in folder.glob("*/*.yaml"))
    return {match.group(1) for path in files for match in TARGET.finditer(path.read_text(encoding="utf-8"))}


def show_pattern(pattern: str) -> str:
    """Return a pattern of names as users read it: `wrn<depth>_<width>`."""
    return re.sub(r"{(\w+)(?::\w+)?}", r"<\1>", pattern)


def shown_choices(group: str, folders: Sequence[Path]) -> list[str]:
    """Return the names to choose from: a choice that has a pattern of names as that pattern (`wrn<depth>_<width>`)."""
    patterns = name_patterns(group, folders)
    return [show_pattern(patterns[name]) if name in patterns else name for name in choices(group, folders)]


def choices_with(group: str, option: str, folders: Sequence[Path]) -> list[str]:
    """Return the choices of a group whose file sets an option of this name, as `shown_choices` names them."""
    line = re.compile(rf"^{re.escape(option)}:", re.MULTILINE)
    files = choices(group, folders).values()
    return [name for name, path in zip(shown_choices(group, folders), files, strict=True) if line.search(_text(path))]


def describe(path: Path) -> str:
    """Return the one-line description at the top of a config file, which is its first comment."""
    for line in _text(path).splitlines():
        text = line.lstrip("# ").strip()
        if line.startswith("#") and not text.startswith("@package"):
            return text
    return ""


def _text(path: Path) -> str:
    """Return the text of a config file. One that cannot be read is empty: the message comes when it is composed."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def check_choice(group: str, choice: str, folders: Sequence[Path]) -> None:
    """Raise `UserError` unless the group offers the choice."""
    if choice in choices(group, folders):
        return
    for path in (folder / group / f"{choice}.yml" for folder in folders):
        if os.path.isfile(path):  # noqa: PTH113 - pathlib's raises where a name is too long
            raise UserError(f"{group}={choice}: Hydra reads files that end in .yaml only; rename {path}")
    raise UserError(no_such_choice(group, choice, shown_choices(group, folders)))


def no_such_choice(group: str, choice: str, offered: Sequence[str]) -> str:
    """Return the message for a choice that a group does not offer, with what it offers, if that is known."""
    listed = f" (choices: {', '.join(offered)})" if offered else ""
    return f"{group}={choice}: no such choice{nearest(choice, offered)}{listed}"
