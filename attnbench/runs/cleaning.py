"""What finished runs do not need any more: checkpoints, logs, and runs that were archived. Records always stay."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from attnbench.errors import UserError
from attnbench.runs.explanations import JOBS
from attnbench.runs.files import readable
from attnbench.runs.folder import ARCHIVE, RunFolder, find_runs
from attnbench.runs.lock import Lock
from attnbench.runs.owner import owner_of

KINDS = {
    "logs": "what the processes of finished runs printed",
    "checkpoints": "weights of finished runs, which evaluate, explain, predict and export need",
    "archived": "runs that were trained again, with their records",
    "explanations": "maps that jobs of attnbench explain found, which it can find again",
}
"""What can be removed, and what it is."""


@dataclass(frozen=True)
class Removable:
    """Something that can be removed.

    Attributes:
        kind: one of `KINDS`.
        path: of the file or folder.
        owner: the run whose lock is held while it is removed; None where nobody trains.
        size: in bytes.
        modified: when it last changed, in seconds since 1970.
    """

    kind: str
    path: Path
    owner: Path | None
    size: int
    modified: float


def find_removable(output: Path, kinds: Collection[str], before: float) -> Iterator[Removable]:
    """Yield what can be removed from the runs of an output folder.

    Args:
        output: the folder that holds `runs`.
        kinds: some of `KINDS`.
        before: what changed later stays; in seconds since 1970.
    """
    for item in _all(output):
        if item.kind in kinds and item.modified < before:
            yield item


def _all(output: Path) -> Iterator[Removable]:
    for run in find_runs(output):
        if owner_of(run.path) is None and readable(run.finished, False):
            yield from _item("logs", run.log_file, run)
            yield from _item("checkpoints", run.last_checkpoint.parent, run)
    for folder in sorted(output.glob(f"runs/*/{ARCHIVE}/seed*")):
        yield from _item("archived", folder, None)
    for folder in sorted(output.glob(f"{JOBS}/*")):
        if owner_of(folder) is None and readable(RunFolder(folder).finished, False):
            yield from _item("explanations", folder, None)


def _item(kind: str, path: Path, run: RunFolder | None) -> Iterator[Removable]:
    """Yield a file or folder if it is there; links are the user's own, and stay."""
    if path.exists() and not path.is_symlink():
        files = [path, *(path.rglob("*") if path.is_dir() else ())]
        sizes = [file.lstat() for file in files]
        size = sum(found.st_size for file, found in zip(files, sizes, strict=True) if not file.is_dir())
        yield Removable(kind, path, run.path if run else None, size, max(found.st_mtime for found in sizes))


def remove(item: Removable) -> None:
    """Remove something, unless its run is no longer finished.

    Raises:
        RunLockedError: a process trains the run.
        UserError: the run is not finished any more.
        OSError: the system refuses.
    """
    if item.owner is None:
        shutil.rmtree(item.path)
        return
    with Lock(item.owner):
        if not RunFolder(item.owner).finished():
            raise UserError(f"{item.path}: its run is being trained again")
        if item.path.is_dir():
            shutil.rmtree(item.path)
        else:
            item.path.unlink()
