"""Trace a network with torch.export: any batch, and any image size where the network allows it.

torch.export finds out for which sizes its graph holds. What it says is not relied on: the graph is run at other sizes,
and only where it computes what the network does is its size called free.
"""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator
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


Run = Callable[[Tensor], dict[str, Tensor]]
"""Runs a network: pixels (B, C, H, W) to outputs by name."""


@torch.no_grad()
def trace(network: PixelClassifier, size: int, free_size: bool = True) -> Trace:
    """Trace a network in evaluation mode for images of `size` pixels a side.

    Args:
        network: the network.
        size: height and width of images.
        free_size: try first whether any other size does.

    Raises:
        UserError: the network cannot be traced, or only for a fixed batch, or its outputs are not finite.
    """
    example = network.draw(EXAMPLE_BATCH, size, size)
    if not all(output.isfinite().all() for output in network(example).values()):
        raise UserError("the network's outputs are not finite, so an export cannot be compared with it")
    program = _export(network, example, free_size)
    if isinstance(program, Exception):
        if free_size:
            return trace(network, size, free_size=False)
        raise UserError(f"torch.export cannot trace this network: {first_line(program)}") from program
    run = program.module()
    if free_size and not holds_elsewhere(run, network, size):
        return trace(network, size, free_size=False)
    for batch in BATCHES:
        if not _holds(run, network, network.draw(batch, size, size)):
            raise UserError(f"torch.export traced this network for a fixed batch: {batch} images give another result")
    _remove_paths(program)
    return Trace(program, free_size, example, tuple(network(example)))


def _export(network: PixelClassifier, example: Tensor, free_size: bool) -> ExportedProgram | Exception:
    """Return the traced network, or the error that tracing ended with: torch has many kinds of them."""
    sizes = {2: Dim.AUTO, 3: Dim.AUTO} if free_size else {}
    try:
        with quiet():
            return export(network, (example,), dynamic_shapes={INPUT: {0: Dim.AUTO, **sizes}})
    except Exception as error:
        return error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's exporters from printing warnings of their own insides."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@torch.no_grad()
def holds_elsewhere(run: Run, network: PixelClassifier, size: int) -> bool:
    """Return whether an exported network computes what the network does, for images of other sizes than `size`."""
    return all(_holds(run, network, network.draw(1, size + high, size + wide)) for high, wide in OTHER_SIZES)


def _holds(run: Run, network: PixelClassifier, pixels: Tensor) -> bool:
    """Return whether both give the same for these pixels; not if either rejects their size."""
    try:
        found, expected = run(pixels), network(pixels)
    except (RuntimeError, AssertionError, ValueError):
        return False
    return largest_difference(found, expected) <= TOLERANCE


def _remove_paths(program: ExportedProgram) -> None:
    """Remove the stack traces of the graph, which name files of this machine."""
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ():
            node.meta.pop("stack_trace", None)


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
