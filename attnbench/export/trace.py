"""Trace a network with torch.export: any batch, and any image size where the network allows it.

torch.export finds out for which sizes its graph holds. What it says is not relied on: the graph is run at other sizes,
and only where it computes what the network does is its size called free.
"""

import warnings
from typing import NamedTuple

import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram, export

from attnbench.errors import UserError
from attnbench.export.agreement import TOLERANCE, largest_difference
from attnbench.export.network import INPUT, PixelClassifier

EXAMPLE_BATCH = 2
"""Not 1, which torch.export would take for a constant."""
BATCHES = (1, 3)
OTHER_SIZES = ((32, 64), (7, 13))
"""Pixels that are added to height and width when a free size is tried: multiples of all strides, and odd numbers."""


class Trace(NamedTuple):
    """A traced network.

    Attributes:
        program: the graph with its weights.
        free_size: whether it takes images of any size; otherwise of the network's own only.
        example: the input (B, C, H, W) that it was traced with.
        names: of the outputs, in their order.
    """

    program: ExportedProgram
    free_size: bool
    example: Tensor
    names: tuple[str, ...]


@torch.no_grad()
def trace(network: PixelClassifier, size: int) -> Trace:
    """Trace a network in evaluation mode for images of `size` pixels a side.

    Raises:
        UserError: the network cannot be traced, or only for a fixed batch.
    """
    example = network.draw(EXAMPLE_BATCH, size, size)
    names = tuple(network(example))
    for free_size in (True, False):
        program = _export(network, example, free_size)
        if isinstance(program, ExportedProgram) and (not free_size or _holds_elsewhere(program, network, size)):
            break
    if isinstance(program, Exception):
        raise UserError(f"torch.export cannot trace this network: {_first_line(program)}") from program
    for batch in BATCHES:
        if not _holds(program, network, network.draw(batch, size, size)):
            raise UserError(f"torch.export traced this network for a fixed batch: {batch} images give another result")
    _remove_paths(program)
    return Trace(program, free_size, example, names)


def _export(network: PixelClassifier, example: Tensor, free_size: bool) -> ExportedProgram | Exception:
    """Return the traced network, or the error that tracing ended with: torch has many kinds of them."""
    sizes = {2: Dim.AUTO, 3: Dim.AUTO} if free_size else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return export(network, (example,), dynamic_shapes={INPUT: {0: Dim.AUTO, **sizes}})
    except Exception as error:
        return error


def _holds_elsewhere(program: ExportedProgram, network: PixelClassifier, size: int) -> bool:
    return all(_holds(program, network, network.draw(1, size + high, size + wide)) for high, wide in OTHER_SIZES)


def _holds(program: ExportedProgram, network: PixelClassifier, pixels: Tensor) -> bool:
    """Return whether program and network give the same for these pixels; not if either rejects their size."""
    try:
        found, expected = program.module()(pixels), network(pixels)
    except (RuntimeError, AssertionError, ValueError):
        return False
    return largest_difference(found, expected) <= TOLERANCE


def _remove_paths(program: ExportedProgram) -> None:
    """Remove the stack traces of the graph, which name files of this machine."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
