"""Standard streams that never end the program: not by a character, a closed stream, a broken pipe or a full disk."""

import codecs
import io
import os
import select
import sys

PLAIN = "attnbench.plain"
"""Name of the error handler that writes what a terminal lacks in ASCII."""
IN_ASCII = {"−": "-", "–": "-", "—": "-", "±": "+-", "×": "x", "·": "-", "…": "...", "→": "->", "≤": "<=", "≥": ">=",
            "≈": "~", "λ": "lambda", "σ": "sigma", "′": "'", "“": '"', "”": '"', "‘": "'", "’": "'"}  # fmt: skip
"""What stands for characters that our texts use. A sign must not be lost: `−1.49` is not `?1.49`."""


class LossyOutput(io.RawIOBase):
    """A file that takes whatever is written, and keeps the first reason why it could not be passed on.

    Args:
        number: descriptor of the file that is written to; it stays open.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.number

    def isatty(self) -> bool:
        return os.isatty(self.number)

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        """Write, and wait where a pipe is full that another process has set not to wait."""
        while True:
            try:
                return os.write(self.number, content)
            except BlockingIOError:
                select.select([], [self.number], [])
            except OSError as error:
                self.error = self.error or error
                return len(content)


def protect() -> None:
    """Replace this process's standard output and error by streams that never raise. Streams of others stay theirs.

    Calling it again changes nothing.
    """
    codecs.register_error(PLAIN, _in_ascii)
    _open_missing()
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream, original = getattr(sys, name), getattr(sys, f"__{name}__")
        if stream is None or (stream is original and isinstance(raw_of(stream), io.FileIO)):
            stream = _lossy(number, stream)
            setattr(sys, name, stream)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=PLAIN)


def lost_output() -> str | None:
    """Return why standard output is incomplete; None if it is complete, or its reader left, as `head` does."""
    sys.stdout.flush()
    raw = raw_of(sys.stdout)
    if not isinstance(raw, LossyOutput) or raw.error is None or isinstance(raw.error, BrokenPipeError):
        return None
    return raw.error.strerror or str(raw.error)


def raw_of(stream: object) -> object:
    """Return the unbuffered file below a text stream."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _lossy(number: int, original: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a lossy stream like the original one; that was None if Python found the descriptor closed."""
    buffer = io.BufferedWriter(LossyOutput(number))  # type: ignore[type-var] # it is a raw file
    if original is None:
        return io.TextIOWrapper(buffer, encoding="utf-8")
    original.flush()
    lossy = io.TextIOWrapper(buffer, encoding=original.encoding)
    lossy.reconfigure(line_buffering=original.line_buffering, write_through=original.write_through)
    return lossy


def _open_missing() -> None:
    """Open the null device for standard streams that are closed, so that no other file gets their number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            os.set_inheritable(opened, True)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """Replace what cannot be encoded by what is meant, or by a question mark, which also matches it in file names."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(IN_ASCII.get(character, "?") for character in error.object[error.start : error.end]), error.end
