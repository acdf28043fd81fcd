"""Expand the overrides of a sweep into the configurations that its author means.

Hydra's own sweeper composes every combination and fails at the first key that a choice lacks. Here
`attention=none,ggam attention.lambda=0,0.1,1` is four runs: a key that a choice lacks is dropped for that choice, and
equal runs are done once. A key that no choice has stops the sweep before it starts.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

from hydra.core.override_parser.types import Glob, Override

from attnbench.config import schema, search_path
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse, parse_one, require_single_values
from attnbench.config.validate import OPEN_GROUPS, RunConfig, has_key, unknown_key
from attnbench.errors import UserError

Lines = tuple[str, ...]
PLAIN_SEED = re.compile(r"seed=(0|[1-9]\d*)")


@dataclass
class Sweep:
    """The configurations of a sweep, each once.

    Attributes:
        configs: the different configurations, in the order of the overrides.
        overrides: those with one value each that give each configuration.
        combinations: the number of combinations that the overrides spell out.
        dropped: for each dropped key, the choices that lack it (`attention=none`).
    """

    configs: list[RunConfig] = field(default_factory=list)
    overrides: list[Lines] = field(default_factory=list)
    combinations: int = 0
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def note(self) -> str | None:
        """Return one line on how the sweep differs from a plain product of all values; None if it does not."""
        lacking = "; ".join(f"{key} does not apply to {', '.join(names)}" for key, names in self.dropped.items())
        if len(self.configs) == self.combinations:
            return lacking or None
        counts = f"{self.combinations} combinations are {len(self.configs)} different runs"
        return f"{counts}: {lacking}" if lacking else counts


def expand(overrides: Sequence[str], config_dir: str | None = None, config_name: str | None = None) -> Sweep:
    """Expand overrides, some with several values (`seed=0,1,2`, `seed=range(5)`), into checked configurations.

    Raises:
        UserError: for a key that no choice has and, with `sweep.strict=true`, for one that some choice lacks.
    """
    composer = Composer(config_dir, config_name)
    parsed = parse(with_own_sweep(overrides, composer), composer.folders, sweep=True)
    hydra = tuple(str(override.input_line) for override in parsed.hydra)
    choices = [hydra + made for made in product(*(single_overrides(o, composer) for o in parsed.choices))]
    settings = {override.key_or_group: single_overrides(override, composer) for override in parsed.values}
    lacking = {made: _lacking_keys(settings, made, composer) for made in choices}
    _require_known(settings, lacking, composer)
    sweep = Sweep(combinations=len(choices) * prod(map(len, settings.values())))
    different: dict[str, tuple[RunConfig, Lines]] = {}
    seeded = SeededComposer(composer)
    for made in choices:
        _note_dropped(sweep, lacking[made])
        applicable = [values for key, values in settings.items() if key not in lacking[made]]
        for combination in product(*applicable):
            lines = (*made, *combination)
            config = seeded.compose(lines)
            different.setdefault(json.dumps(config.values, sort_keys=True), (config, lines))
    for config, lines in different.values():
        sweep.configs.append(config)
        sweep.overrides.append(lines)
    _check_strict(sweep)
    return sweep


class SeededComposer:
    """Composes what differs from an earlier configuration in its seed by putting in the seed: a thousand times faster.

    That is done where two seeds were composed and the configurations differed in nothing else.
    """

    def __init__(self, composer: Composer) -> None:
        self.composer = composer
        self._composed: dict[Lines, list[RunConfig]] = {}

    def compose(self, lines: Sequence[str]) -> RunConfig:
        """Compose a configuration from overrides with one value each. Raises `UserError`."""
        seeds = [line for line in lines if PLAIN_SEED.fullmatch(line)]
        if len(seeds) != 1:
            return self.composer.compose(lines)
        earlier = self._composed.setdefault(tuple(line for line in lines if line not in seeds), [])
        if len(earlier) == 2 and _with_seed(earlier[0], earlier[1]["seed"]) == earlier[1]:
            return _with_seed(earlier[0], int(seeds[0].partition("=")[2]))
        config = self.composer.compose(lines)
        earlier[:] = [*earlier, config][-2:]
        return config


def _with_seed(config: RunConfig, seed: int) -> RunConfig:
    return replace(config, values={**config.values, "seed": seed})


def is_sweep(overrides: Sequence[str], config_dir: str | None = None, config_name: str | None = None) -> bool:
    """Return whether a config file or an override asks for a sweep, by `hydra.mode=MULTIRUN`.

    Raises:
        UserError: nothing asks for one, and a key has several values; or a choice or an override is wrong.
    """
    composer = Composer(config_dir, config_name)
    if composer.own_sweep(overrides).mode == "MULTIRUN":
        return True
    require_single_values(overrides, composer.folders)
    return False


def with_own_sweep(overrides: Sequence[str], composer: Composer) -> list[str]:
    """Return the overrides after those that the chosen config files add for sweeps, under `hydra.sweeper.params`.

    Raises:
        UserError: a file among several choices of a sweep adds some; they would be for all of these choices.
    """
    parsed = parse(overrides, composer.folders, sweep=True)
    own = composer.own_sweep(overrides)
    for choice in filter(Override.is_sweep_override, parsed.choices):
        for line in single_overrides(choice, composer):
            if composer.own_sweep([*overrides, line]) != own:
                raise UserError(f"{line}: is a sweep itself (hydra.sweeper.params) and cannot be one value of another")
    given = {override.key_or_group for override in (*parsed.choices, *parsed.values)}
    lines = [f"{key}={value}" for key, value in own.params.items()]
    return [*(line for line in lines if parse_one(line).key_or_group not in given), *overrides]


def single_overrides(override: Override, composer: Composer) -> list[str]:
    """Split an override with several values into overrides with one value each.

    Raises:
        UserError: the override is a pattern that matches no choice, an interval, or a range without values.
    """
    text, key = str(override.input_line), override.get_key_element()
    value: Any = override.value()
    if isinstance(value, Glob):
        names = value.filter(list(search_path.choices(override.key_or_group, composer.folders)))
        if not names:
            raise UserError(f"{text}: matches no choice of {key}")
        return [f"{key}={name}" for name in names]
    if not override.is_sweep_override():
        return [text]
    if not override.is_discrete_sweep():
        raise UserError(f"{text}: an interval has no list of values; list them, or use range(…)")
    elements = list(override.sweep_string_iterator())
    if not elements:  # range(5,2), or range(0) by an empty variable
        raise UserError(f"{text}: holds no value")
    return [f"{key}={element}" for element in elements]


def _lacking_keys(keys: Iterable[str], made: Lines, composer: Composer) -> dict[str, str]:
    """Return the keys that these choices lack, each with the choice that lacks it."""
    tree, choices = composer.chosen(parse(made, composer.folders))
    leaves = schema.flatten(tree)
    groups = {key: key.partition(".")[0] for key in keys if not has_key(leaves, key)}
    return {key: f"{group}={choices.get(group)}" for key, group in groups.items() if group in OPEN_GROUPS}


def _require_known(keys: Iterable[str], lacking: dict[Lines, dict[str, str]], composer: Composer) -> None:
    """Raise `UserError` for a key that every choice lacks."""
    for key in keys:
        if all(key in missing for missing in lacking.values()):
            raise UserError(_unknown_to_all(key, list(lacking), composer))


def _unknown_to_all(key: str, choices: Sequence[Lines], composer: Composer) -> str:
    """Return the message for a key that no choice has: if possible, of a choice that has a similar key."""
    messages = []
    for made in choices:
        tree, names = composer.chosen(parse(made, composer.folders))
        messages.append(unknown_key(key, list(schema.flatten(tree)), names, composer.folders))
    return next((message for message in messages if "did you mean" in message), messages[0])


def _note_dropped(sweep: Sweep, lacking: dict[str, str]) -> None:
    for key, choice in lacking.items():
        if choice not in sweep.dropped.setdefault(key, []):
            sweep.dropped[key].append(choice)


def _check_strict(sweep: Sweep) -> None:
    if any(config["sweep"]["strict"] for config in sweep.configs):
        for key, choices in sweep.dropped.items():
            raise UserError(f"{key}: {', '.join(choices)} has no such key, and sweep.strict=true")
