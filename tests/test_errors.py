"""Messages spell values as config files and overrides do."""

from typing import Any

import pytest
import yaml

from attnbench.errors import OptionError, require_choice, spelled

SPELLED = {
    "null": None,
    "true": True,
    "[1, null, a]": [1, None, "a"],
    "[0.5, false]": (0.5, False),
    "{a: {b: null}}": {"a": {"b": None}},
    "'5'": "5",
    "'1e3'": "1e3",
    "'null'": "null",
    "bam": "bam",
    "1x1": "1x1",
}


@pytest.mark.parametrize(("text", "value"), SPELLED.items())
def test_a_value_is_spelled_as_in_yaml(text: str, value: Any) -> None:
    assert spelled(value) == text
    assert yaml.safe_load(text) == (list(value) if isinstance(value, tuple) else value)


def test_a_rejected_option_is_spelled_as_in_yaml() -> None:
    with pytest.raises(OptionError, match=r"^gate=null: must be one of auto, true$"):
        require_choice("gate", None, ("auto", True))
