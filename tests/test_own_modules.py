"""Tests do not see the modules that other tests wrote to their folders and imported."""

import importlib
import os
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("value", [1, 2])
def test_a_module_is_the_tests_own(value: int, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "lab.py").write_text(f"VALUE = {value}\n")
    monkeypatch.syspath_prepend(own_folder)
    assert vars(importlib.import_module("lab"))["VALUE"] == value


def test_a_package_is_the_tests_own(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "lab").mkdir()
    (own_folder / "lab" / "own.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(own_folder)
    assert vars(importlib.import_module("lab.own"))["VALUE"] == 3


@pytest.fixture(scope="session")
def earlier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of earlier tests with a module, on Python's path."""
    folder = tmp_path_factory.mktemp("earlier")
    (folder / "lab.py").write_text("VALUE = 4\n")
    sys.path.insert(0, os.fspath(folder))
    importlib.import_module("lab")
    return folder


def test_a_folder_without_init_is_not_hidden_by_an_earlier_module(
    earlier_folder: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert os.fspath(earlier_folder) not in sys.path
    test_a_package_is_the_tests_own(own_folder, monkeypatch)
