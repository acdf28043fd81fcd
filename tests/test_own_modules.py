"""Tests do not see the modules that other tests wrote to their folders and imported."""

import importlib
from pathlib import Path

import pytest


@pytest.mark.parametrize("value", [1, 2])
def test_a_module_is_the_tests_own(value: int, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "lab.py").write_text(f"VALUE = {value}\n")
    monkeypatch.syspath_prepend(own_folder)
    module = importlib.import_module("lab")
    assert module.VALUE == value


def test_a_package_is_the_tests_own(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "lab").mkdir()
    (own_folder / "lab" / "own.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(own_folder)
    assert importlib.import_module("lab.own").VALUE == 3
