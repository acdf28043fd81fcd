"""Overrides as typed: parsed, told apart, and refused where they cannot mean anything."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from attnbench.config import search_path as where
from attnbench.config.parametric_names import spell_out
from attnbench.errors import UserError, nearest


@dataclass(frozen=True)
class Parsed:
    """Overrides by what they are: choices of groups, values of keys, and what is Hydra's own."""

    choices: list[Override]
    values: list[Override]
    hydra: list[Override]


def parse(overrides: Sequence[str], folders: Sequence[Path], sweep: bool = False) -> Parsed:
    """Parse overrides, spell out names like `wrn28_10`, and refuse removals, unknown choices and, unless in a sweep,
    several values for one key.
    """
    groups = where.groups(folders)
    result = Parsed([], [], [])
    for override in map(parse_one, overrides):
        name, text = override.key_or_group, override.input_line
        if override.is_delete():
            raise UserError(f"{text}: keys cannot be removed")
        if override.is_sweep_override() and not sweep:
            raise UserError(f"{text}: to try several values add -m; a list is written {name}=[…]")
        if name.split("/")[0].split(".")[0] == "hydra":
            result.hydra.append(override)
        elif override.package is not None:
            raise UserError(f"{text}: a group cannot be moved; write {name}=…")
        elif name in groups and not isinstance(override.value(), dict):
            result.choices.append(override)
        else:
            result.values.append(override)
    return _spell_out_names(result, folders)


def parse_one(text: str) -> Override:
    """Parse one override. Raises `UserError` that shows it."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        reason = why_unreadable(text, " ".join(str(error).split("See https")[0].split()))
        raise UserError(f"{text}: not an override of the form key=value: {reason}") from None
    if not override.key_or_group:
        raise UserError(f"{text}: the key is missing; an override is written key=value")
    return override


def why_unreadable(text: str, reason: str) -> str:
    """What is wrong with an override; where it is plain, in other words than those of Hydra's grammar."""
    key, equals, value = text.partition("=")
    if not equals:
        return "the equals sign is missing"
    if key != key.rstrip() or value != value.lstrip():
        return f"without spaces around the equals sign, it is {key.strip()}={value.strip()}"
    return reason


def _spell_out_names(parsed: Parsed, folders: Sequence[Path]) -> Parsed:
    """Replace choices like `backbone=wrn28_10` by `backbone=wrn` and the values that the name holds."""
    choices, values = [], []
    for override in parsed.choices:
        group, choice = override.key_or_group, override.value()
        if override.is_sweep_override():
            choices.append(override)
        elif choice is not None or group != "experiment":  # experiment=null is the default: nothing to compose
            name = "null" if choice is None else str(choice)
            base, held = spell_out(group, name, folders)
            where.check_choice(group, base, folders)
            choices.append(parse_one(f"{group}={base}"))
            values += [parse_one(f"{group}.{key}={value}") for key, value in held.items()]
    return Parsed(choices, values + parsed.values, parsed.hydra)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what Hydra, OmegaConf and the YAML parser raise into one line for the user."""
    try:
        yield
    except MissingConfigException as error:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = list(error.options or ())
        offered = f" (choices: {', '.join(options)})" if options else ""
        hint = nearest(choice, options)
        raise UserError(f"{group or 'config'}={choice}: no such choice{hint}{offered}") from None
    except yaml.YAMLError as error:
        raise UserError("YAML: " + " ".join(str(error).split())) from None
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
        raise UserError(" ".join(str(cause).split("See https")[0].split())) from None
