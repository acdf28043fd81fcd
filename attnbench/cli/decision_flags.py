"""The flags of attnbench reproduce --until-decided."""

import argparse

from attnbench.cli.parser import refuse
from attnbench.errors import UserError
from attnbench.reproduce.budget import parse_budget

MOST_SEEDS = 20


def add_decision_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags."""
    parser.add_argument("--until-decided", action="store_true")
    parser.add_argument("--budget")
    parser.add_argument("--max-seeds", type=int)


def check_decision_flags(arguments: argparse.Namespace) -> None:
    """Check the flags, and replace the budget by its seconds. Raises `UserError`."""
    if not arguments.until_decided:
        refuse(arguments, ("budget", "max-seeds"), "needs --until-decided")
    if arguments.budget is not None:
        arguments.budget = parse_budget(arguments.budget)
    if arguments.max_seeds is not None and arguments.max_seeds < arguments.seeds:
        raise UserError(f"--max-seeds {arguments.max_seeds}: must be at least the {arguments.seeds} seeds of the start")


def most_seeds(arguments: argparse.Namespace) -> int:
    """Return how many seeds a row may get."""
    if not arguments.until_decided:
        return int(arguments.seeds)
    return int(arguments.max_seeds or max(MOST_SEEDS, arguments.seeds))
