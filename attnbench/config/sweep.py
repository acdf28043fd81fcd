"""The combinations that a sweep means.

Hydra's own sweeper composes every combination and dies on the first key that a choice lacks. Here
`attention=none,ggam attention.lambda=0,0.1,1` means what its author means: a key that a choice lacks is left out for
that choice, and equal runs are done once. A key that no choice has stops the sweep before it starts.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from hydra.core.override_parser.types import Glob, Override

from attnbench.config import schema
from attnbench.config import search_path as where
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse
from attnbench.config.validate import OPEN_GROUPS, RunConfig, knows, unknown
from attnbench.errors import UserError

Lines = tuple[str, ...]


@dataclass
class Sweep:
    """Configurations of a sweep, each once.

    combinations: how many the overrides spell. dropped: for each key, the choices that lack it.
    """

    configs: list[RunConfig] = field(default_factory=list)
    combinations: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def note(self) -> str | None:
        """One line on what differs from a plain product of all values; None if nothing does."""
        lacking = "; ".join(f"{key} does not apply to {', '.join(names)}" for key, names in self.dropped.items())
        if len(self.configs) == self.combinations:
            return lacking or None
        counts = f"{self.combinations} combinations are {len(self.configs)} different runs"
        return f"{counts}: {lacking}" if lacking else counts


def expand(overrides: Sequence[str], config_dir: str | None = None, config_name: str | None = None) -> Sweep:
    """Expand overrides, some with several values (`seed=0,1,2`, `seed=range(5)`), into checked configurations.

    Raises `UserError` for a key that no choice has and, with `sweep.strict=true`, for one that some choice lacks.
    """
    composer = Composer(config_dir, config_name)
    parsed = parse(overrides, composer.folders, sweep=True)
    hydra = tuple(str(override.input_line) for override in parsed.hydra)
    choices = [hydra + chosen for chosen in product(*(singles(o, composer) for o in parsed.choices))]
    settings = {override.key_or_group: singles(override, composer) for override in parsed.values}
    lacking = {chosen: _lacking(settings, chosen, composer) for chosen in choices}
    for key in settings:
        if all(key in missing for missing in lacking.values()):
            raise UserError(_unknown_to_all(key, choices, composer))
    sweep = Sweep()
    found: dict[str, RunConfig] = {}
    for chosen in choices:
        for key, choice in lacking[chosen].items():
            if choice not in sweep.dropped.setdefault(key, []):
                sweep.dropped[key].append(choice)
        applicable = [values for key, values in settings.items() if key not in lacking[chosen]]
        sweep.combinations += len(list(product(*settings.values())))
        for combination in product(*applicable):
            config = composer.compose([*chosen, *combination])
            found.setdefault(json.dumps(config.values, sort_keys=True), config)
    sweep.configs = list(found.values())
    _check_strict(sweep)
    return sweep


def singles(override: Override, composer: Composer) -> list[str]:
    """The single overrides that one with several values stands for."""
    text, key = str(override.input_line), override.get_key_element()
    value: Any = override.value()
    if isinstance(value, Glob):
        names = value.filter(list(where.choices(override.key_or_group, composer.folders)))
        if not names:
            raise UserError(f"{text}: matches no choice of {key}")
        return [f"{key}={name}" for name in names]
    if not override.is_sweep_override():
        return [text]
    if not override.is_discrete_sweep():
        raise UserError(f"{text}: an interval has no list of values; name them, or use range(…)")
    return [f"{key}={element}" for element in override.sweep_string_iterator()]


def _lacking(wanted: Sequence[str] | dict[str, list[str]], chosen: Lines, composer: Composer) -> dict[str, str]:
    """Of the wanted keys, those that these choices lack, each with the choice that lacks it."""
    parsed = parse(chosen, composer.folders)
    tree, choices = composer.chosen(parsed)
    known = schema.flatten(tree)
    groups = {key: key.partition(".")[0] for key in wanted if not knows(known, key)}
    return {key: f"{group}={choices.get(group)}" for key, group in groups.items() if group in OPEN_GROUPS}


def _unknown_to_all(key: str, choices: Sequence[Lines], composer: Composer) -> str:
    """The message for a key that no choice has: of the choices' messages, one that knows a near name."""
    messages = []
    for chosen in choices:
        tree, named = composer.chosen(parse(chosen, composer.folders))
        messages.append(unknown(key, list(schema.flatten(tree)), named, composer.folders))
    return next((message for message in messages if "did you mean" in message), messages[0])


def _check_strict(sweep: Sweep) -> None:
    if any(config["sweep"]["strict"] for config in sweep.configs):
        for key, choices in sweep.dropped.items():
            raise UserError(f"{key}: {', '.join(choices)} has no such key, and sweep.strict=true")
