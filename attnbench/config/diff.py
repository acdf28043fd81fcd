"""In what configurations differ, said as shortly as is clear."""

from collections.abc import Sequence
from typing import Any

from attnbench.config.parametric_names import short_name
from attnbench.config.schema import flatten
from attnbench.config.validate import RunConfig

Difference = dict[str, str]
NAMED_BY_VALUE = ("attention", "backbone", "data", "recipe")
"""Groups whose choices need no key to be understood."""


def differences(configs: Sequence[RunConfig]) -> list[Difference]:
    """For each configuration, the choices and values in which they differ, seeds aside: `attention` -> `bam`.

    Keys are shortened to their last part where that is clear. A key that a configuration lacks is left out for it.
    """
    counts = {key for config in configs for key in config.identity}  # an identity alone lacks neutral values
    values_of = [{key: value for key, value in flatten(config.values).items() if key in counts} for config in configs]
    leaves = [{**values, **shown_choices(config)} for values, config in zip(values_of, configs, strict=True)]
    keys = {key: None for values in leaves for key in values if not key.split(".")[-1].startswith("_")}
    varying = [key for key in keys if len({repr(values.get(key)) for values in leaves}) > 1]
    choices = [key for key in varying if key in configs[0].choices]
    # a choice that differs brings values along that differ; told are those that differ within one choice
    told = choices + [key for key in varying if key not in choices and _varies_within(key, choices, leaves)]
    short = {key: key.rpartition(".")[2] for key in told}
    clear = {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}
    return [{clear[key]: str(values[key]) for key in told if key in values} for values in leaves]


def shown_choices(config: RunConfig) -> dict[str, str]:
    """Choices by group, under the names that they are known by (`wrn28_10`)."""
    return {group: short_name(choice, config.values.get(group, {})) for group, choice in config.choices.items()}


def label(difference: Difference) -> str:
    """Differences in a few words: `bam reduction=8`."""
    words = (value if key in NAMED_BY_VALUE else f"{key}={value}" for key, value in difference.items())
    return " ".join(words)


def _varies_within(key: str, choices: Sequence[str], leaves: Sequence[dict[str, Any]]) -> bool:
    """Whether a key has several values among configurations that made the same choices."""
    seen: dict[tuple[Any, ...], set[str]] = {}
    for values in leaves:
        if key in values:
            seen.setdefault(tuple(values.get(choice) for choice in choices), set()).add(repr(values[key]))
    return any(len(found) > 1 for found in seen.values())
