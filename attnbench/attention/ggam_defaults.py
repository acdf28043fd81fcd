"""GGAM's options that a variant decides: their types, and the values that `auto` stands for. Meanings: ggam.py."""

from typing import Any, Literal, NamedTuple

from attnbench.attention.base import Variant
from attnbench.attention.ggam_guide import Divergence, GradientClass, LossReduction, Squash
from attnbench.attention.ggam_modules import SpatialNorm
from attnbench.errors import require_literal

Head = Literal["mlp", "linear"]
GradientAt = Literal["features", "output"]
SpatialNormOption = Literal["auto", SpatialNorm]
GradientAtOption = Literal["auto", GradientAt]
Scale = Literal["unit", "literal"]
ScaleOption = Literal["auto", Scale]
Descriptor = Literal["unit", "literal"]
DescriptorOption = Literal["auto", Descriptor]
GradientClassOption = Literal["auto", GradientClass]
SquashOption = Literal["auto", Squash]
DivergenceOption = Literal["auto", Divergence]
LossReductionOption = Literal["auto", LossReduction]


class Defaults(NamedTuple):
    """Values of the options left at `auto`."""

    spatial_norm: SpatialNorm
    gradient_at: GradientAt
    gradient_class: GradientClass
    squash: Squash
    divergence: Divergence
    loss_reduction: LossReduction
    scale: Scale
    descriptor: Descriptor


DEFAULTS: dict[Variant, Defaults] = {
    "paper": Defaults("sum", "features", "truth", "sigmoid", "symmetric", "mean", "unit", "unit"),
    "official": Defaults("sigmoid", "output", "predicted", "softmax", "one_way", "sum", "literal", "literal"),
}

ACCEPTED: dict[str, Any] = {
    "spatial_norm": SpatialNormOption,
    "gradient_at": GradientAtOption,
    "gradient_class": GradientClassOption,
    "squash": SquashOption,
    "divergence": DivergenceOption,
    "loss_reduction": LossReductionOption,
    "scale": ScaleOption,
    "descriptor": DescriptorOption,
}


def resolve(variant: Variant, **options: str) -> Defaults:
    """Return the options with `auto` replaced by the variant's values. Raises `OptionError` for an invalid value."""
    require_literal("variant", variant, Variant)
    for name, value in options.items():
        require_literal(name, value, ACCEPTED[name])
    chosen: dict[str, Any] = {name: value for name, value in options.items() if value != "auto"}
    return DEFAULTS[variant]._replace(**chosen)
