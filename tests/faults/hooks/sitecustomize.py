"""Counts a process's changes to files below a folder, and injects a fault before the one with a given number.

A process that has this folder on `PYTHONPATH` imports this module at its start; nothing happens without `FAULT_ROOT`.
Processes of one command count together, as they append to one log. An open file counts twice more: when it has just
been opened, and when half of what is written to it at a time has been written; signals come before the first half, as
Python heeds them between system calls only.

    FAULT_ROOT  the folder whose files count
    FAULT_LOG   takes one line for each operation; it must not be below FAULT_ROOT
    FAULT       ACTION NUMBER: before operation NUMBER (from 1 on), do ACTION:
                kill      kill this process
                kill-all  kill all processes of the command
                full      fail with ENOSPC, here and at all later operations that need room
                a number  send this signal to this process
"""

import builtins
import errno
import io
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

CHANGES = ("link", "mkdir", "remove", "rename", "replace", "rmdir", "symlink", "truncate", "unlink")
CREATE = ("link", "mkdir", "open", "symlink")
FILL = ("fsync", "write")
WRITES = set("wax+")


class Injector:
    """Counts operations and injects the fault."""

    def __init__(self, root: str, log: str, fault: str) -> None:
        self.root, self.log = os.path.join(os.path.realpath(root), ""), log
        self.action, _, number = fault.partition(" ")
        self.number = int(number or 0)
        self.thread = threading.local()  # `busy` while it does what must not count
        self.open, self.replaced = builtins.open, {name: getattr(os, name) for name in (*CHANGES, "open", "fsync")}

    def watched(self, path: Any) -> str | None:
        """Return the path below the root, or None if it is elsewhere or no path."""
        if getattr(self.thread, "busy", False) or not isinstance(path, str | bytes | os.PathLike):
            return None
        absolute = os.path.join(os.getcwd(), os.fsdecode(path))
        return absolute.removeprefix(self.root) if absolute.startswith(self.root) else None

    def point(self, operation: str, path: str) -> None:
        """Count an operation that is about to happen, and inject the fault if it is its turn."""
        number = self._count(f"{operation} {path}\n".encode(errors="replace"))
        if self.action == "full":
            if 0 < self.number <= number and self._needs_room(operation, path):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        elif number == self.number:
            self._act()

    def _needs_room(self, operation: str, path: str) -> bool:
        return operation in FILL or (operation in CREATE and not os.path.lexists(self.root + path))

    def _count(self, line: bytes) -> int:
        self.thread.busy = True
        try:
            descriptor = self.replaced["open"](self.log, os.O_RDWR | os.O_APPEND | os.O_CREAT)
            try:
                os.write(descriptor, line)
                end = os.lseek(descriptor, 0, os.SEEK_CUR)
                return os.pread(descriptor, end, 0).count(b"\n")
            finally:
                os.close(descriptor)
        finally:
            self.thread.busy = False

    def _act(self) -> None:
        if self.action == "kill-all":
            kill_processes(self.log)
        os.kill(os.getpid(), signal.SIGKILL if self.action.startswith("kill") else int(self.action))

    def install(self) -> None:
        """Put the counting in place of the system calls and of `open`."""
        for name in CHANGES:
            vars(os)[name] = self._counted(name, self.replaced[name])
        vars(os)["open"] = self._counted("open", self.replaced["open"], self._opens_for_writing)
        vars(os)["fsync"] = self._fsync
        vars(io)["open"] = self._open
        vars(builtins)["open"] = self._open

    def _counted(
        self, name: str, original: Callable[..., Any], counts: Callable[..., bool] = lambda *_, **__: True
    ) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            if (place := self.watched(path)) is not None and counts(*arguments, **options):
                self.point(name, place)
            return original(path, *arguments, **options)

        return call

    def _opens_for_writing(self, flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & (os.O_WRONLY | os.O_RDWR))

    def _fsync(self, descriptor: int) -> None:
        if (place := self.watched(os.readlink(f"/proc/self/fd/{descriptor}"))) is not None:
            self.point("fsync", place)
        self.replaced["fsync"](descriptor)

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **options: Any) -> Any:
        place = self.watched(file)
        if place is None or not WRITES & set(mode):
            return self.open(file, mode, buffering, *rest, **options)
        self.point("open", place)
        self.thread.busy = True  # the opener of a temporary file calls `os.open`
        try:
            raw = CountedFile(self, place, file, mode, *rest[3:], **_without_text(options))
        finally:
            self.thread.busy = False
        self.point("opened", place)
        return _buffered(raw, mode, buffering, *rest[:3], **_only_text(options))


class CountedFile(io.FileIO):
    """A file that counts an operation in the middle of each write, or before it if the fault is a signal."""

    def __init__(self, injector: Injector, place: str, file: Any, mode: str, *rest: Any, **options: Any) -> None:
        super().__init__(file, mode.replace("t", ""), *rest, **options)
        self.injector, self.place = injector, place

    def write(self, content: Any) -> int:
        """Write the first half, count, and write the second half."""
        view = memoryview(content).cast("B")
        middle = 0 if self.injector.action.isdigit() else len(view) // 2
        half = super().write(view[:middle])
        if half < middle:
            return half
        self.injector.point("write", self.place)
        return half + super().write(view[half:])


TEXT = ("encoding", "errors", "newline")


def _without_text(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in TEXT}


def _only_text(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in TEXT}


def _buffered(raw: CountedFile, mode: str, buffering: int, *rest: Any, **options: Any) -> Any:
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    stream: Any = io.BufferedRandom(raw, size) if "+" in mode else io.BufferedWriter(raw, size)
    if "b" in mode:
        return stream
    text: dict[str, Any] = dict(zip(TEXT, rest, strict=False)) | options
    return io.TextIOWrapper(stream, **text, line_buffering=buffering == 1)


def processes(log: str) -> list[int]:
    """Return the numbers of all other living processes that were started with this log."""
    mark = f"FAULT_LOG={log}".encode()
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and mark in _environment(int(name))]


def _environment(pid: int) -> list[bytes]:
    try:
        with io.FileIO(f"/proc/{pid}/environ") as file:
            return file.readall().split(b"\0") if pid != os.getpid() else []
    except OSError:  # it has ended meanwhile, or is another user's
        return []


def kill_processes(log: str) -> None:
    """Kill all other processes that were started with this log, at once."""
    for pid in processes(log):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def install() -> None:
    """Inject what the environment says."""
    Injector(os.environ["FAULT_ROOT"], os.environ["FAULT_LOG"], os.environ.get("FAULT", "")).install()


if "FAULT_ROOT" in os.environ:
    install()
