"""attnbench clean: list what finished runs do not need any more, and remove it if asked to."""

import argparse
import re
import time
from collections.abc import Sequence

from attnbench.cli.arguments import names_alone, target_parser, wants_help
from attnbench.cli.help import CLEAN
from attnbench.cli.output import print_message
from attnbench.cli.wrap import print_help
from attnbench.console import make_console, make_table
from attnbench.errors import UserError, nearest
from attnbench.exit_codes import DONE, FAILED
from attnbench.formatting import big
from attnbench.runs.cleaning import KINDS, Removable, find_removable, remove
from attnbench.runs.files import shown
from attnbench.runs.lock import RunLockedError

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0}
AGE = re.compile(r"(\d+(?:\.\d+)?)([dhm])")
SHOWN_AT_MOST = 20


def main(words: Sequence[str]) -> int:
    """List or remove what is not needed any more; returns the exit status."""
    if wants_help(words):
        print_help(CLEAN)
        return DONE
    arguments = _parse(words)
    found = list(find_removable(arguments.output, arguments.kinds, time.time() - arguments.age))
    show(found)
    if not found:
        return DONE
    if not arguments.yes:
        print("Nothing was removed; --yes removes it.")
        return DONE
    return remove_all(found)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = target_parser("clean")
    parser.add_argument("--older-than")
    parser.add_argument("--yes", action="store_true")
    arguments = parser.parse_intermixed_args(words)
    kinds, output = names_alone("clean", arguments)
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"{kind}: not one of {', '.join(KINDS)}{nearest(kind, list(KINDS))}")
    arguments.kinds, arguments.output = kinds or list(KINDS), output
    arguments.age = parse_age(arguments.older_than or "0m")
    return arguments


def parse_age(text: str) -> float:
    """Return an age in seconds: "30d" -> 2592000. Raises `UserError`."""
    found = AGE.fullmatch(text.strip())
    if found is None:
        raise UserError(f"--older-than {text}: must be days, hours or minutes such as 30d, 12h or 90m")
    return float(found[1]) * UNITS[found[2]]


def show(found: Sequence[Removable]) -> None:
    """Print what can be removed: the largest items, and all of each kind together."""
    console = make_console()
    table = make_table()
    for column in ("kind", "size", "age", "path"):
        table.add_column(column, justify="right" if column in ("size", "age") else "left")
    for item in sorted(found, key=lambda item: -item.size)[:SHOWN_AT_MOST]:
        days = (time.time() - item.modified) / UNITS["d"]
        table.add_row(item.kind, f"{big(item.size)}B", f"{days:.0f} d", shown(item.path))
    if found:
        console.print(table)
    if len(found) > SHOWN_AT_MOST:
        console.print(f"… and {len(found) - SHOWN_AT_MOST} more")
    for kind in KINDS:
        items = [item for item in found if item.kind == kind]
        if items:
            console.print(
                f"{kind}: {len(items)}, {big(sum(item.size for item in items))}B ({KINDS[kind]})", soft_wrap=True
            )
    if not found:
        console.print("There is nothing to remove.")


def remove_all(found: Sequence[Removable]) -> int:
    """Remove what was found; returns the exit status. What cannot be removed is named and stays."""
    freed = failures = 0
    for item in found:
        try:
            remove(item)
            freed += item.size
        except (RunLockedError, UserError, OSError) as error:
            failures += 1
            print_message(f"not removed: {error}")
    print(f"{big(freed)}B freed")
    return FAILED if failures else DONE
