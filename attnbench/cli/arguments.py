"""Argument parsers of the verbs."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from attnbench.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError`, so that mistakes in flags end in one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def make_parser(verb: str) -> Parser:
    """Return a parser without arguments; each verb prints its own help."""
    return Parser(prog=f"attnbench {verb}", add_help=False, allow_abbrev=False)


def override_parser(verb: str) -> Parser:
    """Return a parser for `[OVERRIDE ...]`, `-m`, `--config-dir` and `--config-name`."""
    parser = make_parser(verb)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name")
    return parser


def wants_help(words: Sequence[str]) -> bool:
    """Return whether the words ask for help."""
    return "-h" in words or "--help" in words
