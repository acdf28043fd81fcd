"""Parse overrides as they are typed, and reject those that cannot mean anything."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from attnbench.config import search_path
from attnbench.config.grammar import read
from attnbench.config.parametric_names import resolve_name
from attnbench.config.quoting import quoted
from attnbench.errors import UserError, spelled
from attnbench.plain_text import plain

BEGIN_OF_MORE = "[{(\"'$"
"""Characters with which values begin that are more than a word: lists, dictionaries, texts in quotes."""

OF_HYDRA = ("hydra.searchpath", "hydra.mode", "hydra.sweeper.params")
"""The keys of Hydra's own configuration that have an effect."""
ONE_VALUE, MULTIRUN = "takes one value here", "to try several values add -m"
SEVERAL = ("logger", "callbacks")
"""Groups of which several choices may be made: `logger=[tensorboard,csv]`."""
OMEGACONF_DETAILS = re.compile(r" full_key: ?(\S*)(?: object_type=.*)?$")
RESOLVER_FAILED = re.compile(r"^\w+ raised while resolving interpolation: ")


@dataclass(frozen=True)
class Parsed:
    """Overrides by kind: choices of groups, values of keys, and those of Hydra's own configuration."""

    choices: list[Override]
    values: list[Override]
    hydra: list[Override]


def parse(overrides: Sequence[str], folders: Sequence[Path], sweep: bool = False) -> Parsed:
    """Parse overrides and sort them by kind; names that hold values, like `wrn28_10`, become a choice and values.

    Args:
        overrides: as on the command line.
        folders: config folders, which decide what is a group.
        sweep: whether a key may have several values.

    Raises:
        UserError: an override cannot be read, removes a key, moves a group, or chooses what a group does not offer.
    """
    groups = search_path.groups(folders)
    parsed = Parsed([], [], [])
    for text in overrides:
        override = parse_one(text, folders)
        name = override.key_or_group
        is_hydras = name.split("/")[0].split(".")[0] == "hydra"
        if override.is_delete():
            raise UserError(f"{text}: keys cannot be removed")
        if not sweep or is_hydras:
            _require_single(override, ONE_VALUE)
        if name == "hydra":
            raise UserError(f"{text}: name a key of Hydra's, such as hydra.searchpath=[…]")
        if is_hydras:
            parsed.hydra.append(override)
        elif override.package is not None:
            raise UserError(f"{text}: a group cannot be moved; write {name}=…")
        elif name in groups and not isinstance(override.value(), dict):
            parsed.choices.append(override)
        else:
            parsed.values.append(override)
    return _resolve_names(parsed, folders)


def without_effect(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of Hydra's own configuration that change nothing, as attnbench runs its jobs itself."""
    names = [parse_one(text).key_or_group for text in overrides]
    return [
        text
        for text, name in zip(overrides, names, strict=True)
        if name.startswith(("hydra.", "hydra/")) and not name.startswith(OF_HYDRA)
    ]


def require_single_values(overrides: Sequence[str], folders: Sequence[Path]) -> None:
    """Raise `UserError` for a key with several values: a command that takes `-m` was given without it."""
    for text in overrides:
        _require_single(parse_one(text, folders), MULTIRUN)


def parse_single(text: str) -> Override:
    """Parse one override as `parse_one` does. Raises `UserError` also if it has several values."""
    override = parse_one(text)
    _require_single(override, ONE_VALUE)
    return override


def _require_single(override: Override, advice: str) -> None:
    """Raise `UserError`, with the advice, for an override with several values."""
    if not override.is_sweep_override():
        return
    text, name = str(override.input_line), override.key_or_group
    as_text = quoted(name, text.partition("=")[2])
    message = f"{text}: {advice}; a list is written {name}=[…]"
    raise UserError(f"{message}, a text with a comma {as_text}" if as_text else message)


def parse_one(text: str, folders: Sequence[Path] = ()) -> Override:
    """Parse one override. Raises `UserError`, with the override in its message.

    Args:
        text: as typed.
        folders: config folders, searched for a choice of this name where the key is missing.
    """
    if (shown := plain(text, keep="")) != text:
        raise UserError(f"{shown}: an override is one line of text in UTF-8, without control characters")
    try:
        override = read(text)
    except HydraException as error:
        hint = _missing_key(text, folders)
        raise UserError(f"{text}: {_why_unreadable(text, _in_one_line(error))}{hint}") from None
    if not override.key_or_group:
        raise UserError(f"{text}: the key is missing; an override is written key=value")
    return override


def _missing_key(text: str, folders: Sequence[Path]) -> str:
    """Return the hint at the group that offers a choice of this name."""
    found = (group for group in search_path.groups(folders) if text in search_path.choices(group, folders))
    group = next(found, None)
    return f"; did you mean {group}={text}?" if group else ""


def _why_unreadable(text: str, reason: str) -> str:
    """Return what is wrong with an override, plainer than Hydra's grammar for common mistakes."""
    key, equals, value = text.partition("=")
    form = "not an override of the form key=value: "
    if not equals:
        return form + "the equals sign is missing"
    if key != key.rstrip() or value != value.lstrip():
        return f"{form}without spaces around the equals sign, it is {key.strip()}={value.strip()}"
    in_quotes = quoted(key, value)
    if in_quotes is None:
        return form + reason
    if value[0] not in BEGIN_OF_MORE:
        return f"a value like this is written in quotes: {in_quotes}"
    return f"{form}{reason}; a text is written in quotes: {in_quotes}"


def _resolve_names(parsed: Parsed, folders: Sequence[Path]) -> Parsed:
    """Replace choices like `backbone=wrn28_10` by `backbone=wrn` and the values in the name; check every choice."""
    choices, values = [], []
    for override in parsed.choices:
        group, choice = override.key_or_group, override.value()
        if override.is_sweep_override():
            choices.append(override)
        elif isinstance(choice, list):
            choices.append(_several(group, choice, folders))
        elif choice is not None or group != "experiment":  # experiment=null is the default: nothing to compose
            file, held = resolve_name(group, "null" if choice is None else str(choice), folders)
            search_path.check_choice(group, file, folders)
            choices.append(parse_one(f"{group}={file}"))
            values += [parse_one(f"{group}.{key}={value}") for key, value in held.items()]
    return Parsed(choices, values + parsed.values, parsed.hydra)


def _several(group: str, names: Sequence[object], folders: Sequence[Path]) -> Override:
    """Return the override that chooses several files of a group. Raises `UserError` if it takes one, or lacks some."""
    if group not in SEVERAL:
        raise UserError(f"{group}={spelled(names)}: takes one choice; {' and '.join(SEVERAL)} take several")
    if not names:
        raise UserError(f"{group}=[]: names no choice")
    for name in names:
        search_path.check_choice(group, str(name), folders)
    return parse_one(f"{group}=[{','.join(map(str, names))}]")


@contextmanager
def readable_errors(folders: Sequence[Path] = ()) -> Iterator[None]:
    """Turn errors of Hydra, OmegaConf and the YAML parser into a `UserError` of one line.

    Args:
        folders: config folders, whose choices are named where one is missing; without them, Hydra names its own.
    """
    try:
        yield
    except MissingConfigException as error:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        is_ours = group in search_path.groups(folders)
        offered = search_path.shown_choices(group, folders) if is_ours else error.options or ()
        raise UserError(search_path.no_such_choice(group or "config", choice, offered)) from None
    except yaml.YAMLError as error:
        raise UserError("YAML: " + " ".join(str(error).split())) from None
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        cause = error.__cause__ if isinstance(error, HydraException) else None
        raise UserError(_in_one_line(cause if isinstance(cause, OmegaConfBaseException) else error)) from None


def _in_one_line(error: BaseException) -> str:
    """Return an error's message in one line, after the key that it is about, without what only Hydra's authors need."""
    text = " ".join(str(error).split("See https")[0].split())
    about = OMEGACONF_DETAILS.search(text)
    text = RESOLVER_FAILED.sub("", OMEGACONF_DETAILS.sub("", text))
    if "HydraConfig was not set" in text:
        text = "${hydra:…} has no value, as attnbench does not run under Hydra; ${oc.env:NAME} and ${KEY} have one"
    return f"{about[1]}: {text}" if about and about[1] else text
