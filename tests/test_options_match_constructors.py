"""An option's name, default and type are the same in a choice's YAML and in the constructor that takes it."""

import inspect
import types
import typing
from collections import ChainMap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest
import yaml
from torch import nn

from attnbench import build
from attnbench.config import schema
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse
from attnbench.config.search_path import choices, search_path
from attnbench.construct import PYTHON_NAMES, locate
from attnbench.training.hardware import TrainerOptions
from attnbench.training.recipe import Recipe

GROUPS = ("attention", "backbone", "data")
RECORDS = {"recipe": Recipe, "trainer": TrainerOptions}
"""Groups whose options one class takes."""
FROM_DATA = {"num_classes", "in_channels", "image_size"}
"""Arguments that backbones get from the data set."""
OF_BUILD = set(build.OF_BUILD)
"""Options of backbones that no constructor takes."""
LITERAL_GROUPS = ("attention", "backbone")
"""Groups whose constructors annotate choices as `Literal`; elsewhere `str` stands for them."""
CASES = [(group, choice) for group in (*GROUPS, *RECORDS) for choice in choices(group, search_path())]


class Option(NamedTuple):
    """One option as its YAML has it: the default, and the accepted types as words."""

    default: Any
    accepts: set[str]


@cache
def composer() -> Composer:
    return Composer()


def options_of(group: str, choice: str) -> tuple[str, dict[str, Option]]:
    """The `_target_` of a choice, and its options by the constructor's names."""
    tree, _ = composer().chosen(parse([f"{group}={choice}"], composer().folders))
    declared = schema.declarations(tree)
    node = tree[group]
    found = {}
    for name, default in node.items():
        if name.startswith("_"):
            continue
        key = f"{group}.{name}"
        found[PYTHON_NAMES.get(name, name)] = Option(
            default, set(schema.accepted_types(key, default, declared.get(key)))
        )
    return node.get("_target_", ""), found


def own_keys(group: str, choice: str) -> set[str]:
    """Keys that a choice sets although its family has defaults for them: they are what the choice is."""
    content = yaml.safe_load(choices(group, search_path())[choice].read_text(encoding="utf-8"))
    return set(content) if isinstance(content, dict) and "defaults" in content else set()


def signatures(group: str, target: str) -> list[dict[str, inspect.Parameter]]:
    """Parameters of a class, with evaluated annotations; then, where it takes `**options`, those of its base class."""
    kind = RECORDS[group] if group in RECORDS else locate(target, group)
    assert inspect.isclass(kind)
    found = []
    for owner in kind.__mro__:
        if "__init__" not in vars(owner) or owner in (nn.Module, object):
            continue
        constructor = vars(owner)["__init__"]
        parameters = dict(list(inspect.signature(constructor).parameters.items())[1:])
        annotations = typing.get_type_hints(constructor)
        named = {name: p for name, p in parameters.items() if p.kind is not p.VAR_KEYWORD}
        found.append({name: p.replace(annotation=annotations[name]) for name, p in named.items()})
        if len(named) == len(parameters):
            break
    return [{name: p for name, p in part.items() if group != "backbone" or name not in FROM_DATA} for part in found]


def own_parameters(group: str, target: str) -> dict[str, inspect.Parameter]:
    return next(iter(signatures(group, target)), {})


def all_parameters(group: str, target: str) -> dict[str, inspect.Parameter]:
    return dict(ChainMap(*signatures(group, target)))


def words(annotation: Any) -> set[str]:
    """An annotation as the type words of `_keys_`: `int | Literal["auto"]` is {"int", "auto"}."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return set().union(*map(words, get_args(annotation)))
    if origin is Literal:
        return {value if isinstance(value, str) else type(value).__name__ for value in get_args(annotation)}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return {f"list[{word}]" for word in words(get_args(annotation)[0])}
    if annotation in (None, type(None)):
        return {"null"}
    return {"str" if annotation is Path else annotation.__name__}


def plain(value: Any) -> Any:
    """A default as the other side has it: a default that other keys decide is `auto` to the constructor."""
    if isinstance(value, str) and value.startswith("${"):
        return "auto"
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("group", "choice"), CASES)
def test_names_are_those_of_the_constructor(group: str, choice: str) -> None:
    target, options = options_of(group, choice)
    named = set(options) - (OF_BUILD if group == "backbone" else set())
    assert named <= set(all_parameters(group, target))
    assert set(own_parameters(group, target)) <= named


@pytest.mark.parametrize(("group", "choice"), CASES)
def test_defaults_are_those_of_the_constructor(group: str, choice: str) -> None:
    target, options = options_of(group, choice)
    own = own_keys(group, choice)
    for name, parameter in own_parameters(group, target).items():
        if name not in own and parameter.default is not parameter.empty:
            assert plain(options[name].default) == plain(parameter.default), name


@pytest.mark.parametrize(("group", "choice"), CASES)
def test_types_are_those_of_the_constructor(group: str, choice: str) -> None:
    target, options = options_of(group, choice)
    for name, parameter in all_parameters(group, target).items():
        if name in options:
            accepted, annotated = options[name].accepts, words(parameter.annotation)
            if group not in LITERAL_GROUPS and "str" in annotated:
                accepted = {word if word in schema.DESCRIPTIONS else "str" for word in accepted}
            assert accepted == annotated, name


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int | Literal["auto"], {"int", "auto"}),
        (Literal["auto", 1, 3], {"int", "auto"}),
        (Literal["auto", True, False], {"bool", "auto"}),
        (Sequence[int] | None, {"list[int]", "null"}),
        (tuple[float, ...], {"list[float]"}),
        (Path, {"str"}),
    ],
)
def test_annotations_as_words(annotation: Any, expected: set[str]) -> None:
    assert words(annotation) == expected
