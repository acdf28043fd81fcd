"""The runs of a pooled table: run folders, kept tables by name, and folders that hold kept tables or runs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.errors import UserError
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.lookup import find_one, seeds_in
from attnbench.runs.record import RunRecord
from attnbench.tables.results.records import RECORDS_FILE, ended, read_archived, with_current_identity
from attnbench.tables.spec.load import hint, table_files


@dataclass
class Sources:
    """Records, and where they are from.

    Attributes:
        records: of runs that finished or diverged; a run of several tables may occur several times.
        profiles: of the kept tables, with the number of tables.
        folders: how many records are from run folders.
        unfinished: how many runs are left out because they neither finished nor diverged.
    """

    records: list[RunRecord] = field(default_factory=list)
    profiles: Counter[str] = field(default_factory=Counter)
    folders: int = 0
    unfinished: int = 0

    def describe(self) -> str:
        """Say where the records are from."""
        origins = [f"{count} kept table{'s' * (count > 1)} of profile {name}"
                   for name, count in sorted(self.profiles.items())]  # fmt: skip
        if self.folders:
            origins.append(f"{self.folders} run folder{'s' * (self.folders > 1)}")
        return ", ".join(origins)


def read_sources(
    names: Sequence[str], output: Path, profile: str | None, composer: Composer, config_dir: str | None = None
) -> Sources:
    """Read the records that names stand for.

    Args:
        names: kept tables (`bam/1b`), folders that hold kept tables or `runs/`, or runs as `attnbench table` takes
            them: folders, starts of hashes, patterns.
        output: the folder that holds `reproduced/` and `runs/`.
        profile: of kept tables; None for all.
        composer: gives records of earlier versions the identity of today.
        config_dir: the folder of the user's choices.

    Raises:
        UserError: a name has no runs, or a record is damaged.
    """
    tables, sources = table_files(config_dir), Sources()
    for name in names:
        folder = output / "reproduced" / name if name in tables else Path(name).expanduser()
        kept = list(_kept_in(folder, profile)) if folder.is_dir() and not seeds_in(folder) else []
        for archive in kept:
            sources.records += read_archived(archive)
            sources.profiles[archive.name] += 1
        runs = _runs_of(name, folder, output, bool(kept), profile, list(tables))
        done = list(ended(runs))
        sources.records += done
        sources.folders += len(done)
        sources.unfinished += len(runs) - len(done)
    sources.records = [with_current_identity(record, composer) for record in sources.records]
    return sources


def _kept_in(folder: Path, profile: str | None) -> Iterator[Path]:
    """Yield the folders of kept results below a folder, those of other profiles left out."""
    for path in sorted(folder.rglob(RECORDS_FILE)):
        if profile is None or path.parent.name.partition("-")[0] == profile:
            yield path.parent


def _runs_of(
    name: str, folder: Path, output: Path, kept: bool, profile: str | None, tables: Sequence[str]
) -> list[RunFolder]:
    """Return the runs that a name stands for besides kept tables. Raises `UserError` if it stands for nothing."""
    below = list(find_runs(folder)) if name not in tables else []
    if kept or below:
        return below
    of_profile = f" in profile {profile}" if profile else ""
    if name in tables or any(folder.rglob(RECORDS_FILE)):
        raise UserError(f"{name}: no results are kept{of_profile} below {folder}; attnbench reproduce makes them")
    if profile:
        raise UserError(f"--profile {profile}: {name} is not a kept table; only those have profiles")
    try:
        return find_one(name, output)
    except UserError as error:
        raise UserError(f"{error}{hint(name, tables)}") from error
