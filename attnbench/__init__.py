"""attnbench: visual attention, measured.

The package itself is light; what needs torch is loaded when it is first used:

    from attnbench import compose, build_model
    model = build_model(compose(["backbone=resnet50", "attention=bam", "data=cifar100"]))
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnbench.build import build_model
    from attnbench.config.compose import compose

__version__ = "0.1.0"
__all__ = ["__version__", "build_model", "compose"]


def __getattr__(name: str) -> Any:
    if name == "compose":
        from attnbench.config.compose import compose

        return compose
    if name == "build_model":
        from attnbench.build import build_model

        return build_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
