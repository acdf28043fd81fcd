"""attnbench bench: measure the suite of comparisons, write its result, and compare it with an earlier one."""

import argparse
import tempfile
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import make_parser, wants_help
from attnbench.cli.help import BENCH
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.errors import NotInstalledError, UserError, nearest
from attnbench.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    from attnbench.bench.comparison import Comparison

PARTS = ("loop", "host", "folder", "modules", "attention", "loading")
OF_TIMM = ("folder", "modules")
"""Parts whose reference is the package timm."""
OF_FILES = ("folder", "loading")
"""Parts that read image files."""
TURNS = 7
FEWEST_TURNS, FEWEST_FILES = 3, 64


def main(words: Sequence[str]) -> int:
    """Measure the parts that are named, or all, and return the exit status."""
    if wants_help(words):
        print_help(BENCH)
        return DONE
    arguments = parse(words)
    parts = available(arguments.parts)

    from attnbench.bench import suite

    before = suite.read(arguments.against) if arguments.against else None
    size = suite.Size(arguments.turns, arguments.files or suite.FILES)
    machine = suite.machine()
    found: dict[str, Comparison] = {}
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            found |= suite.PARTS[part](size, Path(folder))
    result = suite.result(found, machine, size.files)
    show(found)
    write(result, arguments.to)
    return DONE if before is None else compare(before, result, arguments.parts or PARTS)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Raises `UserError`."""
    parser = make_parser("bench")
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--files", type=int)
    parser.add_argument("--to", type=Path)
    parser.add_argument("--against", type=Path)
    arguments = parser.parse_intermixed_args(words)
    for part in arguments.parts:
        if part not in PARTS:
            raise UserError(f"{part}: no such part{nearest(part, PARTS)} (parts: {', '.join(PARTS)})")
    if arguments.parts and not set(arguments.parts) & set(OF_FILES):
        refuse(arguments, ("files",), f"is for {' and '.join(OF_FILES)}")
    if arguments.turns < FEWEST_TURNS:
        raise UserError(f"--turns {arguments.turns}: a spread needs at least {FEWEST_TURNS}")
    if arguments.files is not None and arguments.files < FEWEST_FILES:
        raise UserError(f"--files {arguments.files}: must be at least {FEWEST_FILES}, which are two batches")
    return arguments


def available(named: Sequence[str]) -> Sequence[str]:
    """Return the parts to measure: those named, or all whose reference is installed. Raises `NotInstalledError`."""
    parts = named or PARTS
    lacking = [] if find_spec("timm") else [part for part in parts if part in OF_TIMM]
    if lacking and named:
        raise NotInstalledError(f"{', '.join(lacking)}: needs the package timm: pip install 'attnbench[timm]'")
    if lacking:
        print(f"timm is not installed: left out: {', '.join(lacking)}")
    return [part for part in parts if part not in lacking]


def show(found: "dict[str, Comparison]") -> None:
    """Print how fast each case is against its reference."""
    from attnbench.console import make_console, make_table
    from attnbench.formatting import middle_half

    table = make_table(caption="median of all turns (the middle half of them)")
    table.add_column("case")
    table.add_column("reference")
    table.add_column("times as fast", justify="right")
    table.add_column("adds, ms a step", justify="right")
    for name, case in found.items():
        added = middle_half(case.added_milliseconds, 3) if case.steps else ""
        table.add_row(name, case.reference, middle_half(case.ratios, 2), added)
    make_console().print(table)


def write(result: dict[str, Any], path: Path | None) -> None:
    """Write a result as JSON, and say where."""
    from attnbench.runs.files import make_folder, shown, write_json

    path = path or Path("outputs") / "bench" / f"{datetime.now():%Y-%m-%dT%H%M%S}.json"
    make_folder(path.parent)
    write_json(path, result)
    print(f"result: {shown(path)}")


def compare(before: dict[str, Any], after: dict[str, Any], parts: Sequence[str]) -> int:
    """Say what became slower since an earlier result and what is missing, and return the exit status."""
    from attnbench.bench.suite import differs, drops, vanished

    if gone := vanished(before, after, parts):
        print(f"not measured any more: {', '.join(gone)}")
    if reason := differs(before, after):
        print(f"the earlier result {reason}; nothing counts as a drop")
        return DONE
    slower = drops(before, after)
    print("\n".join(f"slower: {line}" for line in slower) or "nothing became slower beyond the spread")
    return FAILED if slower else DONE
