"""Hydra's private names exist as we use them, and composing without Hydra's own merging gives the same result."""

import ast
import importlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.utils import _run_hydra
from omegaconf import OmegaConf

from attnbench.config import hydra_compat, hydra_files_compat, search_path
from attnbench.config.compose import apply
from attnbench.config.file_state import FileStates
from attnbench.config.hydra_compat import ConfigFolders, compose_by_hydra, config_folders
from attnbench.config.overrides import parse_one


def private_imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the module and name of each import from a module of Hydra or OmegaConf that is private."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("hydra.", "omegaconf")):
            for alias in node.names:
                if "._" in str(node.module) or alias.name.startswith("_"):
                    yield str(node.module), alias.name


@pytest.mark.parametrize(
    ("module", "name"),
    [*private_imports(Path(hydra_compat.__file__)), *private_imports(Path(hydra_files_compat.__file__))],
)
def test_hydra_has_each_private_name(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name), f"Hydra no longer has {module}.{name}"


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (create_defaults_list, {"repo", "config_name", "overrides_list", "prepend_hydra", "skip_missing"}),
        (ConfigLoaderImpl.load_configuration, {"config_name", "overrides", "run_mode", "from_shell"}),
        (_run_hydra, {"args", "args_parser", "task_function", "config_path", "config_name"}),
    ],
)
def test_hydras_private_functions_have_the_parameters_we_give(function: Any, names: set[str]) -> None:
    assert names <= set(inspect.signature(function).parameters), f"{function.__qualname__} has other parameters"


FOLDERS = search_path.search_path()
SHIPPED = tuple(map(str, FOLDERS))
CHOICES = [
    [f"{group}={choice}" for choice in search_path.choices(group, FOLDERS)] for group in search_path.groups(FOLDERS)
]
ROWS = range(max(map(len, CHOICES)))
COMBINED = [
    *([choices[row % len(choices)] for choices in CHOICES] for row in ROWS),  # every choice of every group
    *([choice] for choices in CHOICES for choice in choices[:1]),
    ["experiment=attention92_cifar10", "attention=ggam", "recipe=adamw"],
    ["experiment=attention452_cifar10", "callbacks=early_stopping"],
]


@pytest.mark.parametrize("choices", COMBINED, ids=" ".join)
def test_choices_are_composed_as_hydra_composes_them(choices: list[str]) -> None:
    tree, made, _ = config_folders(SHIPPED).compose("train", choices)
    reference, reference_choices, _ = compose_by_hydra(SHIPPED, "train", choices)
    assert repr(tree) == repr(reference)  # the order of keys too
    assert {**made} == {**reference_choices}


USERS_OWN = {
    "interpolation": "# @package _global_\nrecipe: {lr: '${seed}'}\n",
    "missing value": "# @package _global_\nrecipe: {lr: '???'}\n",
    "hydra's own node": "# @package _global_\nhydra: {job: {name: mine}}\n",
    "null in place of a dictionary": "# @package _global_\nrun: null\n",
    "dictionary in place of a value": "# @package _global_\nseed: {a: 1}\n",
    "package": "# @package recipe.more\na: [1, 2]\n",
    "moved base": "# @package _global_\ndefaults: [/attention/bam@other, _self_]\nother: {reduction: 4}\n",
    "empty": "",
    "dictionary in place of an interpolation": (
        "# @package _global_\ndefaults: [{override /attention: bam}, _self_]\nattention: {init: {a: 1}}\n"
    ),
}


@pytest.mark.parametrize("text", USERS_OWN.values(), ids=USERS_OWN.keys())
def test_a_users_file_is_composed_as_hydra_composes_it(text: str, own_folder: Path) -> None:
    write(own_folder / "experiment" / "own.yaml", text)
    folders = (*SHIPPED, str(own_folder))
    assert repr(ConfigFolders(folders).compose("train", ["experiment=own"])[0]) == repr(
        compose_by_hydra(folders, "train", ["experiment=own"])[0]
    )


def test_a_dictionary_is_merged_into_what_an_interpolation_names(own_folder: Path) -> None:
    write(own_folder / "experiment" / "base.yaml", "# @package _global_\nother: ${recipe}\n")
    write(own_folder / "experiment" / "own.yaml", "# @package _global_\ndefaults: [base, _self_]\nother: {lr: 3.0}\n")
    folders = (*SHIPPED, str(own_folder))
    reference, *_ = compose_by_hydra(folders, "train", ["experiment=own"])
    assert reference["other"]["epochs"] == reference["recipe"]["epochs"]
    assert repr(ConfigFolders(folders).compose("train", ["experiment=own"])[0]) == repr(reference)


VALUES = [
    "seed=3",
    "seed=null",
    "output='a b'",
    "recipe.lr=1e-3",
    "recipe={epochs: 3, more: [1, {a: 2}]}",
    "recipe.lr={a: 1}",
    "recipe=3",
    "data.mean=[0.1,0.2]",
    "callbacks={stop: {_target_: x.Y}}",
    "run.again=${seed}",
    "seed=???",
]


@pytest.mark.parametrize("text", VALUES)
def test_values_are_applied_as_omegaconf_applies_them(text: str) -> None:
    tree, *_ = config_folders(SHIPPED).compose("train", [])
    override = parse_one(text)
    config = OmegaConf.create(tree)
    OmegaConf.update(config, str(override.key_or_group), override.value(), merge=True, force_add=True)
    assert repr(apply(tree, [override])) == repr(OmegaConf.to_container(config, resolve=True))


def test_a_folder_that_a_primary_config_names_is_searched(own_folder: Path) -> None:
    write(own_folder / "more" / "attention" / "own.yaml", "depth: 3\n")
    write(
        own_folder / "mine.yaml",
        f"defaults: [train, _self_]\nhydra: {{searchpath: ['file://{own_folder}/more']}}\n",
    )
    tree, choices, _ = ConfigFolders((*SHIPPED, str(own_folder))).compose("mine", ["attention=own"])
    assert (tree["attention"], choices["attention"]) == ({"depth": 3}, "own")


def write(path: Path, text: str, age: float = 60.0) -> None:
    """Write a file that seems to be some seconds old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    changed = path.stat().st_mtime - age
    for place in (path, path.parent):
        os.utime(place, (changed, changed))


def test_what_was_composed_is_kept_until_a_file_changes(own_folder: Path) -> None:
    path = own_folder / "recipe" / "own.yaml"
    write(path, "lr: 1\n")
    folders = ConfigFolders((*SHIPPED, str(own_folder)))
    first = folders.compose("train", ["recipe=own"])
    assert folders.compose("train", ["recipe=own"]) is first
    write(path, "lr: 2\n", age=30.0)
    assert folders.compose("train", ["recipe=own"])[0]["recipe"] == {"lr": 2}


def test_a_file_that_takes_anothers_place_is_read(own_folder: Path) -> None:
    first, second = own_folder / "first", own_folder / "second"
    first.mkdir()
    write(second / "recipe" / "own.yaml", "lr: 2\n")
    folders = ConfigFolders((*SHIPPED, str(first), str(second)))
    assert folders.compose("train", ["recipe=own"])[0]["recipe"] == {"lr": 2}
    write(first / "recipe" / "own.yaml", "lr: 1\n")
    assert folders.compose("train", ["recipe=own"])[0]["recipe"] == {"lr": 1}


def test_a_file_that_was_just_written_may_change_unnoticed(own_folder: Path) -> None:
    path = own_folder / "a.yaml"
    for age, settled in ((60.0, True), (0.0, False)):
        write(path, "a: 1\n", age)
        states = FileStates()
        states.note(path)
        assert states.unchanged() is settled
