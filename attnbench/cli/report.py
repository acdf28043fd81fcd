"""attnbench report: an offline page for a group of runs, with what is behind each row of their table."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from attnbench.cli.arguments import run_parser, runs_alone, wants_help
from attnbench.cli.help import REPORT
from attnbench.cli.output import print_message
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, WRONG_INPUT
from attnbench.plain_text import plain
from attnbench.runs.files import shown
from attnbench.runs.lookup import find

IMAGES = 8
"""Test images that `--explain` shows."""


def main(words: Sequence[str]) -> int:
    """Write the report of runs, print where it is, and return the exit status."""
    if wants_help(words):
        print_help(REPORT)
        return DONE
    arguments = _parse(words)
    named = runs_alone("report", arguments)
    unused = [*named.overrides, *(f"trust={package}" for package in named.trusted)]
    if unused and not arguments.explain:
        raise UserError(f"{unused[0]}: needs --explain")
    runs, mistakes = find(named.names, named.output)
    for mistake in mistakes:
        print_message(mistake)
    if mistakes:
        return WRONG_INPUT
    from attnbench.report.site import Options, make_report

    options = Options(
        metric=arguments.metric,
        rows=arguments.rows,
        images=arguments.images or (IMAGES if arguments.explain else 0),
        checkpoint=arguments.checkpoint or "last",
        config_dir=arguments.config_dir,
        trusted=tuple(named.trusted),
        location=tuple(named.overrides),
    )
    to = Path(arguments.to).expanduser().absolute() if arguments.to else named.output.absolute() / "report"
    rows = make_report(runs, options, to)
    print(plain(f"{len(rows)} row{'s' * (len(rows) > 1)} of {len(runs)} runs: {shown(to / 'index.html')}", keep=""))
    return DONE


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("report", several=True)
    parser.set_defaults(checkpoint=None)
    parser.add_argument("--to")
    parser.add_argument("--metric")
    parser.add_argument("--rows")
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--images", type=int)
    arguments = parser.parse_intermixed_args(words)
    if not arguments.explain:
        refuse(arguments, ("images", "checkpoint"), "needs --explain")
    if arguments.images is not None and arguments.images < 1:
        raise UserError(f"--images {arguments.images}: must be at least 1")
    return arguments
