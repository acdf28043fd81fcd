"""A parser of flags whose mistakes end in one line, and the refusal of flags that have no effect."""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from attnbench.errors import UserError, nearest

EMPTY = " ,"
"""Characters that give a flag no value: `--method ,` names nothing."""


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError`, so that mistakes in flags end in one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse words. Raises `UserError` for an empty one, as an empty variable of a shell gives it."""
        self._require_values(args or ())
        return super().parse_known_args(args, namespace)

    def _require_values(self, words: Sequence[str]) -> None:
        for word, before in zip(words, ["", *words], strict=False):
            flag, equals, value = word.partition("=")
            if not word.strip(EMPTY) and self._takes_value(before):
                self.error(f"{before}: its value is empty; give it one, or leave the flag out")
            if equals and not value.strip(EMPTY) and self._takes_value(flag):
                self.error(f"{flag}: its value is empty; give it one, or leave the flag out")
            if not word.strip():
                self.error("a word is empty; leave it out")

    def _takes_value(self, flag: str) -> bool:
        action = self._option_string_actions.get(flag)
        return action is not None and action.nargs != 0

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse words, some of them overrides. Raises `UserError`, with a hint for a flag that does not exist."""
        words = args or ()
        for place, word in enumerate(words):
            flag, equals, value = word.partition("=")
            if flag.startswith("--") and flag != "--" and flag not in self._option_string_actions:
                self.error(f"{flag}: no such flag{self._hint(flag, value if equals else _value(words[place + 1 :]))}")
        return super().parse_intermixed_args(words, namespace)

    def _hint(self, flag: str, value: str) -> str:
        """Return a hint at the flag or the key that was probably meant: `--seed 3` is written `seed=3`."""
        name = flag.removeprefix("--").replace("-", "_")
        key = _likely_key(name)
        written = f"; a key is written without dashes: {key}={value}" if key else ""
        flags = list(self._option_string_actions)
        if key and key.rpartition(".")[2] == name and not any(known.startswith(flag) for known in flags):
            return written
        return nearest(flag, flags) or written


def refuse(arguments: argparse.Namespace, flags: Iterable[str], reason: str) -> None:
    """Raise `UserError`, with the reason, for the first of these flags that was given although it has no effect.

    Args:
        arguments: in which a flag that was not given is None, False or an empty list.
        flags: their names: `max-seeds`.
        reason: why it has none, or what it needs.
    """
    for flag in flags:
        value: Any = getattr(arguments, flag.replace("-", "_"))
        if value is None or value is False or value == []:
            continue
        shown = value[0] if isinstance(value, list) else value
        raise UserError(f"--{flag}{'' if value is True else f' {shown}'}: {reason}")


def _value(words: Sequence[str]) -> str:
    """Return the word after a flag if it can be its value."""
    return words[0] if words and "=" not in words[0] and not words[0].startswith("-") else "…"


def _likely_key(name: str) -> str | None:
    from attnbench.config.compose import compose
    from attnbench.config.schema import flatten
    from attnbench.config.validate import likely_keys

    config = compose()
    known = list(flatten(config.values))
    keys = [name] if name in known or name in config.choices else likely_keys(name, known, [*config.values])
    return keys[0] if keys else None
