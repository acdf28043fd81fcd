"""Build objects from nodes of a configuration.

A value that a constructor rejects becomes one line that names the whole key. Nothing here imports torch by itself.
"""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from attnbench.config.validate import OWN_PACKAGE, RunConfig
from attnbench.data.bases.dataset import DataSet
from attnbench.errors import OptionError, UserError, spelled

T = TypeVar("T")
PYTHON_NAMES = {"lambda": "lambda_"}
"""Keys that are words of Python's grammar, by the name that constructors know them under."""


def locate(path: str, key: str) -> Callable[..., Any]:
    """Import the class or function at a dotted path.

    A user's module may also be in the current folder, which is searched last, and only for code that is not our own:
    our configs never make a file of the current folder run.

    Args:
        path: the dotted path.
        key: the configuration key that names it, for the message.

    Raises:
        UserError: it cannot be imported or called.
    """
    module, _, name = path.rpartition(".")
    here = os.fspath(Path.cwd())
    if not path.startswith(OWN_PACKAGE) and here not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError, SyntaxError) as error:
        raise UserError(f"{key}={path}: cannot be imported: {error}") from error
    if not callable(found):
        raise UserError(f"{key}={path}: is not a class or function")
    target: Callable[..., Any] = found
    return target


def parameters_of(path: str) -> set[str]:
    """Return the parameter names of the class or function at a dotted path."""
    try:
        return set(inspect.signature(locate(path, "_target_")).parameters)
    except ValueError as error:  # some of Python's own types, such as dict, have no signature
        raise UserError(f"_target_={path}: {error}") from None


def construct(group: str, node: Mapping[str, Any], **extra: Any) -> Any:
    """Call a node's `_target_` with its options and those of `extra`.

    Raises:
        UserError: the target lacks an option, does not take one, or rejects its value.
    """
    if not node.get("_target_"):
        raise UserError(f"{group}: its config names no class; add _target_: module.Class")
    target = locate(str(node["_target_"]), f"{group}._target_")
    options = {PYTHON_NAMES.get(key, key): value for key, value in node.items() if not key.startswith("_")}
    try:
        inspect.signature(target).bind(**options, **extra)
    except (TypeError, ValueError) as error:
        raise UserError(f"{group}: {node['_target_']}: {error}") from None
    return guarded(group, lambda: target(**options, **extra))


def construct_as(kind: type[T], group: str, node: Mapping[str, Any], **extra: Any) -> T:
    """Construct an object as `construct` does. Raises `UserError` also if it is not a `kind`."""
    built = construct(group, node, **extra)
    if not isinstance(built, kind):
        base = f"{kind.__module__}.{kind.__qualname__}"
        raise UserError(f"{group}._target_={node['_target_']}: must be a class that derives from {base}")
    return built


def guarded(group: str, action: Callable[[], T]) -> T:
    """Run `action`; report a value that it rejects as the user's mistake in `group`. Raises `UserError`."""
    try:
        return action()
    except OptionError as error:
        key = next((name for name, python in PYTHON_NAMES.items() if python == error.key), error.key)
        raise UserError(f"{group}.{key}={spelled(error.value)}: {error.expected}") from error
    except (ValueError, NotImplementedError) as error:
        raise UserError(f"{group}: {error}") from error


def build_data(config: RunConfig, task: str = "classification") -> DataSet:
    """Build the data set's description; no image is read. Raises `UserError` if the set is not one for the task."""
    data = construct_as(DataSet, "data", config["data"])  # type: ignore[type-abstract]  # only for isinstance
    if data.for_task != task:
        raise UserError(f"data={config.choices['data']}: is for task={data.for_task}, and the task is {task}")
    return data
