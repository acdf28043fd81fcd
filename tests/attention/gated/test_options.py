"""Options of gated attention that are rejected."""

from typing import Any

import pytest

from attnbench.attention.gated import Gated
from attnbench.errors import OptionError
from tests.attention.gated.networks import build


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"variant": "own"}, "variant"),
        ({"depth": 0}, "depth"),
        ({"width": 0}, "width"),
        ({"kernel": 5}, "kernel"),
        ({"mask": "relu"}, "mask"),
        ({"global_gates": "tanh"}, "global_gates"),
        ({"gate_norm": "batch"}, "gate_norm"),
        ({"combine": "mean"}, "combine"),
        ({"net_output": "all"}, "net_output"),
        ({"regulariser": "l2"}, "regulariser"),
        ({"regulariser_weight": -0.1}, "regulariser_weight"),
        ({"regulariser_weight": "high"}, "regulariser_weight"),
        ({"regulariser": "none", "regulariser_weight": 0.1}, "regulariser_weight"),
        ({"regulariser": "official", "width": 1}, "regulariser"),
        ({"tap": "raw"}, "tap"),
        ({"deepest": "first"}, "deepest"),
        ({"predict": "net"}, "predict"),
        ({"exit_modules": 1}, "exit_modules"),
        ({"predict": "modules", "exit_modules": 4}, "exit_modules"),
        ({"predict": "modules", "exit_modules": 0}, "exit_modules"),
        ({"form": "slow"}, "form"),
        ({"gate_norm": True, "global_gates": "none"}, "gate_norm"),
        ({"stop_gradients": True, "net_output": "none"}, "stop_gradients"),
        ({"gate_input": "hidden"}, "gate_input"),
        ({"gate_input": "masked", "global_gates": "none"}, "gate_input"),
        ({"head_combine": "mean"}, "head_combine"),
        ({"head_combine": "probabilities", "head_gates": False}, "head_combine"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        Gated(**options)
    assert caught.value.key == key


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 4}, "this backbone has 3 levels"),
        ({"depth": 3, "deepest": "before_last"}, "this backbone has 2 levels"),
        ({"depth": 1, "net_output": "none"}, "a single hypothesis"),
        ({"depth": 1, "net_output": "half"}, "a single hypothesis"),
        ({"depth": 2, "net_output": "none", "global_gates": "none", "deepest": "before_last"}, "train the last stage"),
    ],
)
def test_pairs_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(**options)
