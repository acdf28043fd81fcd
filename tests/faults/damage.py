"""Ways in which a file of a run can be damaged, for tests."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Damage = Callable[[Path], None]
OTHER_TYPES: tuple[Any, ...] = ([], {}, "text", -1, 1e308, True, None)
"""Values that take the place of others; for most of these, one has the wrong type."""


def _write(content: bytes) -> Damage:
    return lambda path: _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    _remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _edit(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path: _replace(path, change(path.read_bytes() if path.is_file() else b'{"a": 1}\n'))


def _folder(path: Path) -> None:
    _remove(path)
    path.mkdir(parents=True)
    (path / "file").write_text("in the way")


def _link(target: str) -> Damage:
    def damage(path: Path) -> None:
        _remove(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(path.name if target == "itself" else target)

    return damage


def _pipe(path: Path) -> None:
    _remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(path)


def _half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def _half_of_the_lines(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2])


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xA5 for byte in content[middle : middle + 16]) + content[middle + 16 :]


DAMAGES: dict[str, Damage] = {
    "empty": _write(b""),
    "white space": _write(b" \n\n"),
    "cut off": _edit(_half),
    "half of the lines": _edit(_half_of_the_lines),
    "three times": _edit(lambda content: 3 * content),
    "bytes flipped": _edit(_flipped),
    "no text": _write(b"\xff"),
    "zeros": _edit(lambda content: bytes(len(content))),
    "nested deeply": _write(b"[" * 100_000),
    "objects nested deeply": _write(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "null": _write(b"null\n"),
    "a list": _write(b"[1, 2]\n"),
    "an empty object": _write(b"{}\n"),
    "a text": _write(b'"text"\n'),
    "a number of many digits": _write(b'{"schema": ' + b"9" * 10_000 + b"}\n"),
    "control characters": _write(b'{"schema": 2, "status": "\\u001b[31m\\u0007", "identity": "\\n\\n"}\n'),
    "a folder": _folder,
    "a link to nothing": _link("nowhere"),
    "a link to itself": _link("itself"),
    "a pipe": _pipe,
    "an endless file": _link("/dev/zero"),
}
"""Damages of any file."""


def wrong_types(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a name and the content for each value of a JSON object, one level deep too, replaced by another type."""
    if path.suffix not in (".json", ".jsonl"):
        return
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    original = json.loads(lines[0])
    for keys in _keys(original):
        for other in OTHER_TYPES:
            changed = json.loads(lines[0])
            node = changed
            for key in keys[:-1]:
                node = node[key]
            node[keys[-1]] = other
            text = "\n".join([json.dumps(changed), *lines[1:]]) + "\n"
            yield f"{'.'.join(keys)}={json.dumps(other)}", text.encode()
        yield f"{'.'.join(keys)} missing", _without(lines, keys)


def _without(lines: list[str], keys: tuple[str, ...]) -> bytes:
    changed = json.loads(lines[0])
    node = changed
    for key in keys[:-1]:
        node = node[key]
    del node[keys[-1]]
    return ("\n".join([json.dumps(changed), *lines[1:]]) + "\n").encode()


def _keys(content: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in content.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *below) for below in _keys(value))
