"""Which runs a user means by a folder, the start of a hash, or a pattern."""

import glob
import re
from collections.abc import Iterable
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.folder import RunFolder, find_runs, shown

HASH = re.compile(r"(?P<start>[0-9a-f]{1,10})(/(?P<seed>seed\d+))?")
"""The start of an identity, alone for all of its seeds."""


def find(names: Iterable[str], output: Path) -> tuple[list[RunFolder], list[str]]:
    """The runs that are meant, each once, in the order in which they are named, and a line for each name that means
    nothing or several things.

    A folder is a run's or one of its seeds'; relative names are looked for in the current folder, then in
    `<output>/runs`.
    """
    found: dict[Path, RunFolder] = {}
    refusals: list[str] = []
    for name in names:
        try:
            for run in find_one(name, output):
                found.setdefault(run.path.resolve(), run)
        except UserError as error:
            refusals.append(str(error))
    return list(found.values()), refusals


def find_one(name: str, output: Path) -> list[RunFolder]:
    """The runs that one name means, at least one. Raises `UserError`."""
    runs = output / "runs"
    for path in (Path(name).expanduser(), runs / name):
        if path.is_dir():
            return _in_folder(path)
    if glob.has_magic(name):
        return _by_pattern(name, runs)
    if match := HASH.fullmatch(name):
        return _by_hash(match["start"], match["seed"], output)
    if Path(name).exists():
        raise UserError(f"{name}: is not a folder")
    raise UserError(f"{name}: no such run, here or in {shown(runs)}; attnbench list runs shows what there is")


def seeds_in(path: Path) -> list[RunFolder]:
    """The seeds that a folder holds, or the one that it is; none of what was set aside."""
    if (path / "record.json").is_file() or (path / "config.yaml").is_file():
        return [RunFolder(path)]
    if path.name == "aside" or not path.is_dir():
        return []
    return [run for child in sorted(path.glob("seed*"), key=_number) for run in seeds_in(child)]


def _number(path: Path) -> tuple[int, str]:
    digits = path.name.removeprefix("seed")
    return (int(digits) if digits.isdigit() else 0, path.name)


def _in_folder(path: Path) -> list[RunFolder]:
    found = seeds_in(path)
    if found:
        return found
    if any(seeds_in(child) for child in path.iterdir()):
        raise UserError(f"{path}: holds runs and is none; '{path}/*' means all of them")
    raise UserError(f"{path}: no run lies there; a run's folder holds seed0 or the like, with a record.json")


def _by_pattern(pattern: str, runs: Path) -> list[RunFolder]:
    for place in (Path(pattern).expanduser(), runs / pattern):
        found = [run for path in sorted(glob.glob(str(place))) for run in seeds_in(Path(path))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        if found:
            return found
    raise UserError(f"{pattern}: matches no run, here or in {shown(runs)}; attnbench list runs shows what there is")


def _by_hash(start: str, seed: str | None, output: Path) -> list[RunFolder]:
    named = [run for run in find_runs(output) if run.path.parent.name.rpartition("-")[2].startswith(start)]
    meant = list(dict.fromkeys(run.path.parent for run in named))
    place = shown(output / "runs")
    if not meant:
        raise UserError(f"{start}: no run in {place} has a hash that starts so; attnbench list runs shows them")
    if len(meant) > 1:
        raise UserError(f"{start}: {len(meant)} runs in {place} start so: {', '.join(path.name for path in meant)}")
    seeds = seeds_in(meant[0] / seed if seed else meant[0])
    if not seeds:
        raise UserError(f"{start}: {shown(meant[0])} has no {seed or 'run that was started'}")
    return seeds
