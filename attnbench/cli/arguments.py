"""Flags of the verbs that take overrides."""

import argparse
from collections.abc import Sequence
from typing import NoReturn

from attnbench.errors import UserError


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line, like every other mistake's."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")


def override_parser(verb: str) -> Parser:
    """A parser for `[OVERRIDE ...]`, `-m`, `--config-dir` and `--config-name`; help is the verb's own."""
    parser = Parser(prog=f"attnbench {verb}", add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name")
    return parser


def wants_help(words: Sequence[str]) -> bool:
    """Whether help is asked for."""
    return "-h" in words or "--help" in words
