"""Overrides are read by one parser of Hydra's, and each once."""

from pathlib import Path

import pytest
from hydra.errors import HydraException

from attnbench.config import grammar
from attnbench.config.grammar import read


def test_an_override_is_read_once() -> None:
    assert read("recipe.lr=0.1") is read("recipe.lr=0.1")
    assert read("recipe.lr=0.1").value() == 0.1


def test_what_is_no_override_raises_hydras_error() -> None:
    with pytest.raises(HydraException):
        read("seed=[1,")


def test_no_other_module_makes_a_parser() -> None:
    package = Path(grammar.__file__).parents[1]
    makers = {path for path in package.rglob("*.py") if "OverridesParser" in path.read_text(encoding="utf-8")}
    assert makers == {Path(grammar.__file__)}
