"""Messages of the command line: one line each, on standard error, so that results on standard output stay clean."""

import logging
import sys

from attnbench.cli.streams import protect
from attnbench.plain_text import plain

HANDLER = "attnbench"


def set_up_output() -> None:
    """Show attnbench's log messages from INFO on, and let nothing that is printed end the program.

    A warning is shown once, however often a command meets its cause; the next command shows it again.
    """
    protect()
    logger = logging.getLogger("attnbench")
    for handler in [handler for handler in logger.handlers if handler.name == HANDLER]:
        logger.removeHandler(handler)
    logger.addHandler(_MessageHandler())
    logger.setLevel(logging.INFO)


def print_message(message: str) -> None:
    """Print `attnbench: message` on standard error, in one line whatever the message quotes."""
    print(f"attnbench: {plain(message, keep='')}", file=sys.stderr, flush=True)


class _MessageHandler(logging.Handler):
    """Prints log records like the command line's own messages, on what is standard error at that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.name = HANDLER
        self.setFormatter(logging.Formatter("%(message)s"))
        self.warnings: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
            if record.levelno >= logging.WARNING:
                if message in self.warnings:
                    return
                self.warnings.add(message)
            print_message(message)
        except Exception:
            self.handleError(record)  # as logging's own handlers do: a message must not end the program
