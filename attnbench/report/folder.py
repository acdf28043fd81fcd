"""The folder of a report: it is written whole or not at all, and takes the place of an earlier report only."""

import glob
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attnbench.errors import UserError
from attnbench.runs.disk import WriteError, writing
from attnbench.runs.files import make_folder, read_json, shown, to_text, write_all
from attnbench.runs.owner import process_started

MARK = "report.json"
"""The file that says what a report is made of, and by which a report is known."""
KIND = "attnbench report"
LITTER = re.compile(r"\.(?P<kind>new|old)\.(?P<pid>\d+)")
"""What a process adds to the name of a report's folder, beside which it writes."""


def check_place(folder: Path) -> None:
    """Raise `UserError` unless a report may be written: there is nothing, or an earlier report and nothing else."""
    if Path.cwd().is_relative_to(folder.resolve()):
        raise UserError(f"--to {shown(folder)}: a report replaces its folder, and this is the current one or above it")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--to {shown(folder)}: it is a file; name a folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    content = read_json(folder / MARK) or {}
    if content.get("kind") != KIND:
        raise UserError(f"--to {shown(folder)}: the folder holds something else than a report; name another one")
    known = {MARK, *map(str, content.get("files", ()))}
    strange = sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*")} - known)
    if strange:
        raise UserError(f"--to {shown(folder)}: {strange[0]} is no part of the report there; move it away")


def write_report(folder: Path, files: Mapping[str, str], about: Mapping[str, Any]) -> None:
    """Write a report in place of an earlier one.

    Everything is written beside the folder first, so that whatever goes wrong leaves the earlier report.

    Args:
        folder: of the report.
        files: contents by name.
        about: what the report is made of.

    Raises:
        UserError: something else is in the folder.
        WriteError: the system refuses to write.
    """
    check_place(folder)
    folder = folder.resolve()  # behind a link
    make_folder(folder.parent)
    clear_litter(folder)
    new, old = (folder.with_name(f".{folder.name}.{word}.{os.getpid()}") for word in ("new", "old"))
    mark = {"kind": KIND, "files": sorted(files), **about}
    try:
        write_all({new / name: content for name, content in {**files, MARK: to_text(mark, indent=2)}.items()})
        _put_in_place(new, folder, old)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def clear_litter(folder: Path) -> None:
    """Remove what killed processes have left beside a report, or put their copy of an earlier report back."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        found = LITTER.fullmatch(path.name.removeprefix(f".{folder.name}"))
        if found is None or process_started(int(found["pid"])) is not None:
            continue
        if found["kind"] == "old" and not folder.exists():
            path.rename(folder)
        else:
            shutil.rmtree(path)


def _put_in_place(new: Path, folder: Path, old: Path) -> None:
    try:
        with writing(shown(folder), folder.parent, size=0):
            if folder.exists():
                folder.rename(old)
            new.rename(folder)
    except WriteError:
        if old.exists():
            with suppress(OSError):
                old.rename(folder)
        raise
