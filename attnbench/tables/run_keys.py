"""The keys in which a user's runs differ, and the names that these give to rows and columns."""

from collections.abc import Sequence
from itertools import chain

from attnbench.config.diff import differences, label, written
from attnbench.config.parametric_names import short_name
from attnbench.config.schema import flatten
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError, nearest
from attnbench.tables.columns import NAMES


def split_keys(text: str | None, flag: str, configs: Sequence[RunConfig]) -> list[str]:
    """Return the keys that a flag names. Raises `UserError` for one that no run has."""
    names = [name.strip() for name in text.split(",")] if text else []
    known = list(dict.fromkeys(chain.from_iterable([*config.choices, *flatten(config.values)] for config in configs)))
    also = NAMES if flag == "--columns" else ()
    for name in names:
        if name not in known:
            raise UserError(f"{flag} {name}: no run has such a key{nearest(name, [*known, *also])}")
    return names


def differing_keys(configs: Sequence[RunConfig], columns: Sequence[str]) -> list[str]:
    """Return the keys in which runs differ, without those of the columns."""
    short = {key: key.rpartition(".")[2] for config in configs for key in (*config.choices, *config.identity)}
    different = {key for difference in differences(configs) for key in difference}
    candidates = [key for key in short if (key in different or short[key] in different) and key not in columns]
    return [key for key in candidates if key in different or varies(key, configs)]


def varies(key: str, configs: Sequence[RunConfig]) -> bool:
    """Return whether configurations differ in a key's value: `width` may be the backbone's or the attention's."""
    return len({repr(flatten(config.values).get(key)) for config in configs}) > 1


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return the last part of each key, or the whole key where several end alike."""
    ends = [name.rpartition(".")[2] for name in names]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(names, ends, strict=True)}


def describe_keys(config: RunConfig, names: Sequence[str]) -> str:
    """Return a configuration's values of keys in words; empty if it has none of them."""
    leaves = flatten(config.values)
    values = {
        name: short_name(config.choices[name], config[name]) if name in config.choices else written(leaves[name])
        for name in names
        if name in config.choices or name in leaves
    }
    short = short_names(names)
    return label({short[name]: value for name, value in values.items()})
