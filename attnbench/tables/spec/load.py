"""Read tables and profiles from `configs/paper`; a mistake in a file is reported in one line that says where it is."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.config.search_path import describe, search_path
from attnbench.errors import UserError, nearest
from attnbench.tables.spec.parse import parse_siblings, parse_table
from attnbench.tables.spec.table import PaperTable, Profile, ProfileChanges
from attnbench.tables.spec.yaml_nodes import (
    TableFileError,
    check_keys,
    read_yaml,
    require_keys,
    strings_of,
)

FOLDER = "paper"


def table_files(config_dir: str | None = None) -> dict[str, Path]:
    """Return the files of all tables by name, including those of other packages and of `--config-dir`."""
    files: dict[str, Path] = {}
    for folder in search_path(config_dir):
        for path in sorted((folder / FOLDER).glob("*/*.yaml")):
            files.setdefault(f"{path.parent.name}/{path.stem}", path)
    return files


def hint(name: str, tables: Sequence[str]) -> str:
    """Return `; did you mean …?` with the tables of the named paper, or with the nearest table."""
    of_paper = [table for table in tables if table.partition("/")[0] == name.rstrip("/")]
    return f"; did you mean {' or '.join(of_paper)}?" if of_paper else nearest(name, tables)


def load_table(name: str, config_dir: str | None = None) -> PaperTable:
    """Read a table. Raises `UserError` if there is none of this name, or its file has a mistake."""
    files = table_files(config_dir)
    if name not in files:
        raise UserError(f"{name}: no such table{hint(name, list(files))}; attnbench list paper shows all")
    try:
        return parse_table(name, read_yaml(files[name]))
    except TableFileError as error:
        raise UserError(f"{files[name]}: {error}") from None


def descriptions(config_dir: str | None = None) -> dict[str, str]:
    """Return the first line of every table's file."""
    return {name: describe(path) for name, path in table_files(config_dir).items()}


def load_profiles(table: PaperTable, config_dir: str | None = None) -> dict[str, Profile]:
    """Read the profiles under which a table can be run.

    Keys of a profile in another package or in `--config-dir` replace those of attnbench; `siblings`
    and `left_out` are merged.

    Raises:
        UserError: a file has a mistake, or the table names a profile that does not exist.
    """
    profiles: dict[str, dict[str, Any]] = {}
    for folder in search_path(config_dir):
        path = folder / FOLDER / "profiles.yaml"
        if path.is_file():
            try:
                for name, node in read_yaml(path).items():
                    profiles[name] = _profile({**profiles.get(name, {}), "name": name}, node)
            except TableFileError as error:
                raise UserError(f"{path}: {error}") from None
    _check_names(table, profiles)
    return {name: _changed(known, table.profiles.get(name, ProfileChanges())) for name, known in profiles.items()}


def _changed(known: Mapping[str, Any], changes: ProfileChanges) -> Profile:
    """Return a profile with the changes of a table."""
    overrides = (*known["overrides"], *changes.overrides)
    return Profile(**{**known, "overrides": overrides, "siblings": {**known["siblings"], **changes.siblings}})


def _check_names(table: PaperTable, profiles: Collection[str]) -> None:
    """Raise `UserError` for a profile that a table names, for itself or for a note, and that does not exist."""
    named = {"profiles": list(table.profiles)}
    named |= {f"notes[{place}]": list(note.profiles) for place, note in enumerate(table.notes)}
    named |= {f"rows.{key}.note": list(row.note.profiles) for key, row in table.rows.items()}
    for where, names in named.items():
        if unknown := [name for name in names if name not in profiles]:
            raise UserError(
                f"{table.name}: {where}: {', '.join(unknown)}: no such profile (there are {', '.join(profiles)})"
            )


def _profile(known: dict[str, Any], node: Any) -> dict[str, Any]:
    """Return a profile's fields: those of a file, and for the others the known ones. Raises `TableFileError`."""
    where = known["name"]
    require_keys(node, ("says",) if "says" not in known else (), where)
    check_keys(Profile, where, node)
    siblings = parse_siblings(where, node.get("siblings", {}))
    left_out = node.get("left_out", {})
    if not isinstance(left_out, dict) or not all(isinstance(reason, str) for reason in left_out.values()):
        raise TableFileError(f"{where}.left_out: must give a reason for each backbone")
    return {
        **known,
        **node,
        "overrides": strings_of(node, "overrides") if "overrides" in node else known.get("overrides", ()),
        "siblings": {**known.get("siblings", {}), **siblings},
        "left_out": {**known.get("left_out", {}), **left_out},
        "says": str(node.get("says", known.get("says"))),
    }
