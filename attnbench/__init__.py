"""attnbench: visual attention, measured.

The package itself is light; what needs torch is loaded when it is first used:

    from attnbench import build_model, compose, load_run
    model = build_model(compose(["backbone=resnet50", "attention=bam", "data=cifar100"]))

    run = load_run("a37d17")  # a trained run: its folder, or the start of its hash
    probabilities, maps = run.predict(run.test_images[:8]), run.maps(run.test_images[:8])
"""

import importlib
from typing import TYPE_CHECKING, Any

from attnbench.version import __version__

if TYPE_CHECKING:
    from attnbench.build import build_model
    from attnbench.config.compose import compose
    from attnbench.training.trained_run import load_run

__all__ = ["__version__", "build_model", "compose", "load_run"]


_HOME = {
    "build_model": "attnbench.build",
    "compose": "attnbench.config.compose",
    "load_run": "attnbench.training.trained_run",
}
"""Where each public function is defined: it is imported when it is first used."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
