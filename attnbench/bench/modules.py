"""Our modules of the attentions that timm has too, beside timm's with the same options."""

import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from attnbench.attention import (
    CBAMModule,
    CoordinateModule,
    ECAModule,
    GatherExciteModule,
    GCModule,
    NonLocalModule,
    SEModule,
    SKModule,
)
from attnbench.attention.base import ModuleOutput
from attnbench.bench.comparison import Comparison
from attnbench.errors import NotInstalledError
from attnbench.training.speed_probe import alternate

Make = Callable[[], nn.Module]
SIZE = 16
"""Height and width of the maps."""


class Pair(NamedTuple):
    """What builds our module and timm's, and the channels of their maps."""

    ours: Make
    theirs: Make
    channels: int


def timm_pairs() -> dict[str, Pair]:
    """Return the modules by name. Raises `NotInstalledError` without timm."""
    try:
        from timm.layers.coord_attn import CoordAttn
        from timm.layers.create_attn import create_attn
        from timm.layers.gather_excite import GatherExcite
        from timm.layers.selective_kernel import SelectiveKernel
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            "single modules are compared with those of the package timm: pip install 'attnbench[timm]'"
        ) from error
    exact = partial(create_attn, rd_divisor=1)
    pairs: dict[str, tuple[Make, Make, int]] = {
        "se": (lambda: SEModule(64), lambda: exact("se", 64, rd_ratio=1 / 16), 64),
        "cbam": (lambda: CBAMModule(64), lambda: exact("cbam", 64, rd_ratio=1 / 16), 64),
        "eca": (lambda: ECAModule(64), lambda: create_attn("eca", 64), 64),
        "coordinate, 8 hidden channels": (
            lambda: CoordinateModule(64),
            lambda: CoordAttn(64, rd_channels=8, bias=True),
            64,
        ),
        "coordinate, 12 hidden channels": (
            lambda: CoordinateModule(96, 8),
            lambda: CoordAttn(96, rd_channels=12, bias=True),
            96,
        ),
        "gc": (lambda: GCModule(64), lambda: create_attn("gca", 64, rd_ratio=1 / 16, rd_divisor=1), 64),
        "gc, odd channels": (lambda: GCModule(25, 2), lambda: create_attn("gca", 25, rd_ratio=1 / 2, rd_divisor=1), 25),
        "non_local": (
            lambda: NonLocalModule(64),
            lambda: create_attn("nl", 64, use_scale=False, rd_ratio=1 / 2, rd_divisor=1),
            64,
        ),
        "sk": (lambda: SKModule(64, 64), lambda: SelectiveKernel(64, split_input=False, rd_channels=32), 64),
        "sk, groups and stride": (
            lambda: SKModule(16, 64, 2, 4, 1),
            lambda: SelectiveKernel(16, 64, stride=2, groups=4, split_input=False, rd_channels=64),
            16,
        ),
        "gather_excite": (lambda: GatherExciteModule(64), lambda: GatherExcite(64, use_mlp=False), 64),
        "gather_excite, extent 2": (
            lambda: GatherExciteModule(64, extent=2),
            lambda: GatherExcite(64, use_mlp=False, extent=2),
            64,
        ),
        "gather_excite, extent 4": (
            lambda: GatherExciteModule(64, extent=4),
            lambda: GatherExcite(64, use_mlp=False, extent=4),
            64,
        ),
    }
    return {name: Pair(*pair) for name, pair in pairs.items()}


def refined(result: Tensor | ModuleOutput) -> Tensor:
    """Return the map that a module returns, with or without extras."""
    return result.features if isinstance(result, ModuleOutput) else result


def cpu_seconds(module: nn.Module, x: Tensor, steps: int) -> float:
    """Return the CPU time of a forward and backward pass of a module, the mean of some steps."""
    start = time.process_time()
    for _ in range(steps):
        refined(module(x)).square().mean().backward()
    return (time.process_time() - start) / steps


def compare(pair: Pair, memory_format: torch.memory_format, batch: int, steps: int, turns: int) -> Comparison:
    """Compare forward and backward passes of a pair in turns, in CPU time."""
    modules = [make().to(memory_format=memory_format) for make in (pair.ours, pair.theirs)]
    x = torch.randn(batch, pair.channels, SIZE, SIZE).to(memory_format=memory_format).requires_grad_()
    return Comparison("timm", *alternate([partial(cpu_seconds, module, x, steps) for module in modules], turns))
