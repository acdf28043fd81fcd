"""Small files: written whole or not at all, and read with one clear line for whatever is wrong with them."""

import json
import logging
import math
import os
import shlex
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from attnbench.errors import RunError, UserError
from attnbench.runs.disk import FULL, WriteError, refusal, writing
from attnbench.runs.litter import clear_litter_of

T = TypeVar("T")
U = TypeVar("U")
DEEPEST = 50
"""Objects and lists inside each other; a file of a run has a few."""
logger = logging.getLogger("attnbench.runs")


def shown(path: Path) -> str:
    """Return a path as the user would type it: relative to the current folder where it is below it."""
    if not path.is_absolute():
        return os.fspath(path)
    try:
        return os.fspath(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)


def as_typed(path: Path) -> str:
    """Return a path as a shell reads it: `shown`, in quotes where it contains spaces."""
    return shlex.quote(shown(path))


class RunFileError(RunError):
    """A file of a run cannot be used: it is damaged, cannot be read, or is of a later version."""


def damaged(where: str, reason: str) -> RunFileError:
    """Build the error for a file that cannot be used as it is."""
    return RunFileError(f"{where}: damaged: {reason}; restore the file, or move it away")


def readable(read: Callable[[], T], otherwise: U) -> T | U:
    """Return what `read` returns; if a file is damaged, log a warning and return `otherwise`.

    For lists and tables of several runs, which one damaged file must not stop.
    """
    try:
        return read()
    except UserError as error:
        logger.warning("skipped: %s", error)
        return otherwise


def make_folder(path: Path) -> None:
    """Make a folder for runs or results, with its parents.

    Raises:
        WriteError: there is no room for it.
        UserError: the system does not allow it for another reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UserError(
            f"{shown(path)}: the folder cannot be made: something else has its name; move it away"
        ) from None
    except OSError as error:
        if error.errno in FULL:
            raise WriteError(refusal(shown(path), path.parent, error)) from error
        raise UserError(f"{path}: the folder cannot be made: {error.strerror or error}") from error


def check_file(path: Path) -> None:
    """Raise `RunFileError` if something else is in a file's place: a folder, a pipe or a device.

    Opening a pipe would wait for its other end, and a device may have no end.
    """
    if path.exists() and not path.is_file():
        raise damaged(shown(path), f"it is {'a folder' if path.is_dir() else 'a pipe or a device'}, not a file")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace a file by text or bytes. A reader, or a crash, sees the old file or the new one, never a part.

    Raises:
        UserError: something else is in its place, such as a folder.
    """
    check_file(path)
    clear_litter_of(path)
    replace_file(
        path, path.with_name(f".{path.name}.{os.getpid()}"), content.encode() if isinstance(content, str) else content
    )


def replace_file(path: Path, temporary: Path, content: bytes | memoryview) -> None:
    """Write a temporary file, wait until it is on the disk, and give it the name of the file that it replaces.

    Raises:
        WriteError: the system refuses; the old file is still there, and no temporary one.
    """
    with writing(shown(path), path.parent, len(content)):
        try:
            with temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def write_all(contents: Mapping[Path, str | bytes]) -> None:
    """Replace files, in folders that are made if needed. Raises what `make_folder` and `write_atomically` raise."""
    for path, content in contents.items():
        make_folder(path.parent)
        write_atomically(path, content)


def write_json(path: Path, content: Any) -> None:
    """Replace a file by JSON. Numbers that are not finite are written as null."""
    write_atomically(path, to_text(content, indent=2) + "\n")


def to_text(content: Any, indent: int | None = None) -> str:
    """Return JSON as text, in one line without `indent`. NaN and infinities, which JSON lacks, become null."""
    try:
        return json.dumps(content, indent=indent, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(content), indent=indent, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the object in a JSON file, or None if there is no file.

    Raises:
        UserError: the file cannot be read, or holds no JSON object; the message names it and says why.
    """
    text = read_text(path)
    return None if text is None else parse_object(text, shown(path))


def read_text(path: Path) -> str | None:
    """Return a file's text, or None if there is no file. Raises `UserError` if it cannot be read."""
    content = read_bytes(path)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        raise damaged(shown(path), "it is not text in UTF-8") from None


def read_bytes(path: Path) -> bytes | None:
    """Return a file's content, or None if there is no file. Raises `UserError` if it cannot be read."""
    try:
        check_file(path)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunFileError(f"{shown(path)}: cannot be read: {error.strerror or error}") from error


def parse_object(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object. `NaN` and `Infinity`, which earlier versions wrote, become None.

    Raises:
        UserError: the text is no JSON object; the message starts with `where`.
    """
    if not text.strip():
        raise damaged(where, "it is empty")
    try:
        content = json.loads(text, parse_constant=lambda _: None)
    except RecursionError:
        raise damaged(where, "it is nested too deeply") from None
    except ValueError as error:
        raise damaged(where, f"it is no JSON ({error})") from None
    if not isinstance(content, dict):
        raise damaged(where, "it is no JSON object")
    if text.count("{") + text.count("[") > DEEPEST and _depth(content) > DEEPEST:
        raise damaged(where, "it is nested too deeply")
    return content


def _depth(content: Any) -> int:
    """Return how many objects and lists are inside each other."""
    depth, level = 0, [content]
    while level:
        depth += 1
        inside = (part.values() if isinstance(part, dict) else part for part in level)
        level = [value for values in inside for value in values if isinstance(value, dict | list)]
    return depth
