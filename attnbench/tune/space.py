"""Search spaces: the options that are searched, and over which values, as `configs/search/*.yaml` describe them.

    # The one-line description that `attnbench list search` shows
    recipe.lr: {log: [0.01, 1.0]}             # a number between these, on a logarithmic scale
    recipe.momentum: {float: [0.8, 0.99]}
    recipe.epochs: {int: [10, 20]}            # a whole number, both ends included
    attention.reduction: {choice: [4, 8, 16]}

An option that a method does not have is left out for that method, as in a sweep.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from attnbench.config import search_path
from attnbench.config.hydra_files_compat import load_mapping
from attnbench.config.overrides import readable_errors
from attnbench.errors import UserError
from attnbench.runs.files import shown

if TYPE_CHECKING:
    import optuna

KINDS = ("log", "float", "int", "choice")
GROUPS = ("recipe", "attention", "backbone")
"""Groups whose options may be searched; of the others, `ALSO`."""
ALSO = ("data.batch_size",)
DIGITS = 4
"""Significant digits of numbers that are tried, so that they can be typed again."""


@dataclass(frozen=True)
class Dimension:
    """An option and the values over which it is searched: the two ends, or for a `choice` all of them."""

    key: str
    kind: str
    values: tuple[Any, ...]

    def suggest(self, trial: "optuna.Trial") -> str:
        """Return the override with the value that a trial gets."""
        if self.kind == "choice":
            return self.override(trial.suggest_categorical(self.key, self.values))
        low, high = self.values
        if self.kind == "int":
            return self.override(trial.suggest_int(self.key, low, high))
        return self.override(trial.suggest_float(self.key, low, high, log=self.kind == "log"))

    def override(self, value: Any) -> str:
        """Return the override that sets a value; numbers between the ends are rounded to `DIGITS`."""
        return f"{self.key}={json.dumps(value if self.kind == 'choice' else rounded(value))}"

    def corners(self) -> list[str]:
        """Return overrides with the values that must be valid for all others to be: both ends, or every choice."""
        return [self.override(value) for value in self.values]

    def __str__(self) -> str:
        if self.kind == "choice":
            return f"{self.key} one of {', '.join(map(str, self.values))}"
        low, high = self.values
        return f"{self.key} from {low:g} to {high:g}{' (log)' if self.kind == 'log' else ''}"


def rounded(value: float) -> float:
    """Return a number with `DIGITS` significant digits; whole numbers stay."""
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def load_space(name: str, folders: Sequence[Path]) -> list[Dimension]:
    """Read the search space of a name from config folders.

    Raises:
        UserError: there is none of this name, or its file is wrong.
    """
    search_path.check_choice("search", name, folders)
    path = search_path.choices("search", folders)[name]
    with readable_errors():
        content = OmegaConf.to_container(load_mapping(path))
    if not isinstance(content, dict) or not content:
        raise UserError(f"{shown(path)}: must hold lines such as recipe.lr: {{log: [0.01, 1.0]}}")
    return [_dimension(str(key), node, path) for key, node in content.items()]


def _dimension(key: str, node: Any, path: Path) -> Dimension:
    def wrong(reason: str) -> UserError:
        return UserError(f"{shown(path)}: {key}: {reason}")

    if key.partition(".")[0] not in GROUPS and key not in ALSO:
        raise wrong(f"only options of {', '.join(GROUPS)} can be searched, and {', '.join(ALSO)}")
    if not isinstance(node, Mapping) or len(node) != 1 or next(iter(node)) not in KINDS:
        raise wrong(f"must be one of {', '.join(KINDS)} with its values, such as {{log: [0.01, 1.0]}}")
    ((kind, values),) = node.items()
    if not isinstance(values, list) or not values:
        raise wrong(f"{kind} needs a list of values")
    if problem := _problem(str(kind), values):
        raise wrong(problem)
    return Dimension(key, str(kind), tuple(values))


def _problem(kind: str, values: Sequence[Any]) -> str:
    """Return what is wrong with the values of a kind; empty if nothing is."""
    if kind == "choice":
        plain = all(value is None or isinstance(value, bool | int | float | str) for value in values)
        return "" if plain else "choices must be numbers, words, true, false or null"
    number = int if kind == "int" else (int, float)
    if len(values) != 2 or not all(isinstance(value, number) and not isinstance(value, bool) for value in values):
        return f"{kind} needs two {'whole ' if kind == 'int' else ''}numbers, the lowest and the highest value"
    if values[0] >= values[1]:
        return f"the first number must be below the second, and they are {values[0]} and {values[1]}"
    return "log needs numbers above 0" if kind == "log" and values[0] <= 0 else ""
