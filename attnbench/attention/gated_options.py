"""Values of the options of the gated method, and the checks of those that depend on no backbone. See gated.py."""

from typing import Any, Literal

from attnbench.attention.base import Variant
from attnbench.attention.gated_gates import GateInput
from attnbench.attention.gated_heads import Form, Kernel, Mask
from attnbench.attention.gated_mixture import GateKind, Mixture
from attnbench.attention.gated_regularisers import RegulariserOption
from attnbench.errors import require, require_literal

KernelOption = Literal["auto", Kernel]
GlobalGates = Literal[GateKind, "none"]
GateNorm = Literal["auto", True, False]
MixtureOption = Literal["auto", Mixture]
NetOutput = Literal["gated", "half", "none"]
TapKind = Literal["shared", "own"]
Deepest = Literal["auto", "last", "before_last"]
Predict = Literal["all", "modules"]

LITERALS: dict[str, Any] = {
    "variant": Variant,
    "kernel": KernelOption,
    "mask": Mask,
    "global_gates": GlobalGates,
    "gate_norm": GateNorm,
    "gate_input": GateInput,
    "head_combine": Mixture,
    "combine": MixtureOption,
    "net_output": NetOutput,
    "regulariser": RegulariserOption,
    "tap": TapKind,
    "deepest": Deepest,
    "predict": Predict,
    "form": Form,
}
"""Options that take one of a few values, and these values."""


def check_values(depth: int, width: int, **chosen: object) -> None:
    """Raise `OptionError` for the first option whose value is not one of its values."""
    require(depth >= 1, "depth", depth, "must be at least 1")
    require(width >= 1, "width", width, "must be at least 1")
    for name, value in chosen.items():
        require_literal(name, value, LITERALS[name])


def check_gates(
    global_gates: GlobalGates, gate_norm: GateNorm, gate_input: GateInput, head_gates: bool, head_combine: Mixture
) -> None:
    """Raise `OptionError` for options of gates that there are not."""
    gated, normed = global_gates != "none", gate_norm is True
    require(gated or not normed, "gate_norm", gate_norm, "normalises global gates, and there are none")
    require(gated or gate_input == "pooled", "gate_input", gate_input, "is for global gates, and there are none")
    joined = head_gates or head_combine == "logits"
    require(joined, "head_combine", head_combine, "joins the heads of a module, and head_gates=false keeps them apart")
