"""Finding the runs that a user names by a folder, the start of a hash, or a pattern."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.files import readable
from attnbench.runs.folder import ARCHIVE, RunFolder, find_runs, shown
from attnbench.runs.record import FinishedRecord

HASH = re.compile(r"(?P<start>[0-9a-f]{1,10})(/(?P<seed>seed\d+))?")
"""The start of an identity, alone for all of its seeds."""


def find(names: Iterable[str], output: Path) -> tuple[list[RunFolder], list[str]]:
    """Find runs by name.

    Args:
        names: folders of runs or of single seeds, starts of hashes, or patterns. Relative names are looked for in the
            current folder, then in `<output>/runs`.
        output: the output folder.

    Returns:
        The runs, each once, in the order of the names; and an error message for each name that has no run, or several.
    """
    runs: dict[Path, RunFolder] = {}
    errors: list[str] = []
    for name in names:
        try:
            for run in find_one(name, output):
                runs.setdefault(run.path.resolve(), run)
        except UserError as error:
            errors.append(str(error))
    return list(runs.values()), errors


def find_one(name: str, output: Path) -> list[RunFolder]:
    """Return the runs of one name, at least one. Raises `UserError` if there is none, or the name is ambiguous."""
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
    raise UserError(f"{name}: no such run here or in {shown(runs)}; attnbench list runs shows what there is")


def seeds_in(path: Path) -> list[RunFolder]:
    """Return the seeds in a run's folder, without archived ones; or the folder itself if it is a seed's."""
    if any(os.path.lexists(path / name) for name in ("record.json", "config.yaml")):
        return [RunFolder(path)]
    if path.name == ARCHIVE or not path.is_dir():
        return []
    return [run for child in sorted(path.glob("seed*"), key=_number) for run in seeds_in(child)]


def finished_records(folder: Path) -> Iterator[FinishedRecord]:
    """Yield the records of the finished seeds in a run's folder."""
    for seed in sorted(folder.glob("seed*")):
        record = readable(RunFolder(seed).record, None)
        if isinstance(record, FinishedRecord):
            yield record


def _number(path: Path) -> tuple[int, str]:
    digits = path.name.removeprefix("seed")
    return (int(digits) if digits.isdigit() else 0, path.name)


def _in_folder(path: Path) -> list[RunFolder]:
    seeds = seeds_in(path)
    if seeds:
        return seeds
    if any(seeds_in(child) for child in path.iterdir()):
        raise UserError(f"{path}: contains runs and is not a run; '{path}/*' names all of them")
    raise UserError(f"{path}: there is no run; a run's folder contains seed0, or another seed, with a record.json")


def _by_pattern(pattern: str, runs: Path) -> list[RunFolder]:
    for place in (Path(pattern).expanduser(), runs / pattern):
        matches = [run for path in sorted(glob.glob(str(place))) for run in seeds_in(Path(path))]  # noqa: PTH207 - Path.glob takes no absolute pattern
        if matches:
            return matches
    raise UserError(f"{pattern}: matches no run here or in {shown(runs)}; attnbench list runs shows what there is")


def _by_hash(start: str, seed: str | None, output: Path) -> list[RunFolder]:
    runs = [run for run in find_runs(output) if run.path.parent.name.rpartition("-")[2].startswith(start)]
    folders = list(dict.fromkeys(run.path.parent for run in runs))
    place = shown(output / "runs")
    if not folders:
        raise UserError(f"{start}: no run in {place} has a hash with this start; attnbench list runs shows them")
    if len(folders) > 1:
        several = ", ".join(path.name for path in folders)
        raise UserError(f"{start}: {len(folders)} runs in {place} have a hash with this start: {several}")
    seeds = seeds_in(folders[0] / seed if seed else folders[0])
    if not seeds:
        raise UserError(f"{start}: {shown(folders[0])} has no {seed or 'run that was started'}")
    return seeds
