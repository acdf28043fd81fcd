"""Say in a few words how configurations differ."""

from collections.abc import Sequence
from typing import Any

from attnbench.config.parametric_names import short_name
from attnbench.config.schema import flatten
from attnbench.config.validate import RunConfig

Difference = dict[str, str]
NAMED_BY_VALUE = ("attention", "backbone", "data", "recipe")
"""Groups whose choices are clear without the group's name."""
WITHOUT_EFFECT = ("launch",)
"""Groups that say where a run is done, not what it is."""


def differences(configs: Sequence[RunConfig]) -> list[Difference]:
    """Return, for each configuration, the choices and values in which they differ, seeds aside: `attention` -> `bam`.

    Keys are shortened to their last part where no two become equal. Keys that a configuration lacks are left out.
    """
    counted = {key for config in configs for key in config.identity}  # one identity alone lacks neutral values
    values_of = [{key: value for key, value in flatten(config.values).items() if key in counted} for config in configs]
    leaves = [{**values, **shown_choices(config)} for values, config in zip(values_of, configs, strict=True)]
    keys = {key: None for values in leaves for key in values if not key.split(".")[-1].startswith("_")}
    varying = [key for key in keys if len({repr(values.get(key)) for values in leaves}) > 1]
    choices = [key for key in varying if key in configs[0].choices]
    # different choices bring different values along: only what varies within one choice is worth showing
    shown = choices + [key for key in varying if key not in choices and _varies_within(key, choices, leaves)]
    short = {key: key.rpartition(".")[2] for key in shown}
    unique = {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}
    return [{unique[key]: written(values[key]) for key in shown if key in values} for values in leaves]


def shown_choices(config: RunConfig) -> dict[str, str]:
    """Return the choice in each group that changes a run, under the name that users know it by (`wrn28_10`)."""
    return {
        group: short_name(choice, config.values.get(group, {}))
        for group, choice in config.choices.items()
        if group not in WITHOUT_EFFECT
    }


def written(value: Any) -> str:
    """Write a value in words: 1 and 1.0, which are the same number to a configuration, both as `1`."""
    text = str(value)
    return text.removesuffix(".0") if isinstance(value, float) else text


def label(difference: Difference) -> str:
    """Write a difference in a few words: `bam reduction=8`."""
    words = (value if key in NAMED_BY_VALUE else f"{key}={value}" for key, value in difference.items())
    return " ".join(words)


def _varies_within(key: str, choices: Sequence[str], leaves: Sequence[dict[str, Any]]) -> bool:
    """Return whether a key has several values among configurations that made the same choices."""
    values_by_choice: dict[tuple[Any, ...], set[str]] = {}
    for values in leaves:
        if key in values:
            made = tuple(values.get(choice) for choice in choices)
            values_by_choice.setdefault(made, set()).add(repr(values[key]))
    return any(len(several) > 1 for several in values_by_choice.values())
