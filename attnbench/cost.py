"""Count the cost of a network: parameters and multiply-adds.

Multiply-adds are those of convolutions and matrix products, as papers count them; biases, normalisation, activations,
pooling and element-wise products are left out. Counting works on the meta device, where nothing is computed.

A method is counted in its paper's formulation. Where a cheaper equivalent runs instead (gated attention pools before it
projects), that is counted beside it. An evaluation that exits early is counted up to its exit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from attnbench.backbones.evaluation_mode import evaluating
from attnbench.classifier import Network


@dataclass(frozen=True)
class Cost:
    """Cost of one network for one image.

    Attributes:
        parameters: All parameters, frozen ones included.
        multiply_adds: Of one forward pass in evaluation, in the paper's formulation.
        executed_multiply_adds: Of the forward pass that runs.
        attention_parameters: Parameters of the attention and of the modules that it inserted.
        attention_multiply_adds: Their multiply-adds, in the paper's formulation.
    """

    parameters: int
    multiply_adds: int
    executed_multiply_adds: int
    attention_parameters: int
    attention_multiply_adds: int


def count_parameters(module: nn.Module) -> int:
    """Return the number of parameters, each counted once; running statistics are not parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def count(net: Network, channels: int, image_size: int) -> Cost:
    """Count a network's cost for an image of `channels` x `image_size` x `image_size`."""
    with evaluating(net):
        executed = in_paper = multiply_adds_by_module(net, channels, image_size)
        if (paper := net.attention.count_as_in_paper()) is not None:
            with paper:
                in_paper = multiply_adds_by_module(net, channels, image_size)
    inserted = net.inserted_paths
    # an attention's `classify` is no module's forward pass: its share is the rest beside the backbone
    outside = in_paper[""] - sum(in_paper.get(path, 0) for path in [net.backbone_path, *net.head_paths])
    return Cost(
        parameters=count_parameters(net),
        multiply_adds=in_paper[""],
        executed_multiply_adds=executed[""],
        attention_parameters=sum(count_parameters(net.get_submodule(path)) for path in [*inserted, "attention"]),
        attention_multiply_adds=outside + sum(in_paper.get(path, 0) for path in inserted),
    )


@torch.no_grad()
def multiply_adds_by_module(net: Network, channels: int, image_size: int) -> dict[str, int]:
    """Return multiply-adds of one image's forward pass by module path; the whole network's are under ""."""
    image = torch.empty(1, channels, image_size, image_size, device=next(net.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        net(image)
    # the counter names a module by its path below the root's class name, and counts 2 per multiply-add
    counts = {
        path.removeprefix(f"{type(net).__name__}."): sum(flops.values()) // 2
        for path, flops in counter.get_flop_counts().items()
    }
    return {**counts, "": counter.get_total_flops() // 2}


@dataclass(frozen=True)
class Layer:
    """Cost of one layer for one image.

    Attributes:
        path: Where the layer is in the network.
        kind: The name of its class.
        output_shape: (C, H, W) of its output, or whatever it returns for one image; empty if that is no tensor.
        parameters: Its own parameters.
        multiply_adds: Of the forward pass that runs.
        of_attention: Whether it belongs to the attention.
    """

    path: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    of_attention: bool


def count_layers(net: Network, channels: int, image_size: int) -> list[Layer]:
    """Count the layers that have parameters or multiply-adds of their own, in the order in which they run.

    Multiply-adds belong to the innermost layer that is called, so those of a method that uses the weights of a layer
    without calling it are its own. Such layers come last.
    """
    attention = (*net.inserted_paths, "attention")
    found = []
    for path, (shape, multiply_adds) in _calls(net, channels, image_size).items():
        module = net.get_submodule(path)
        parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        inside = any(path == part or path.startswith(f"{part}.") for part in attention)
        if multiply_adds or parameters:
            found.append(Layer(path, type(module).__name__, shape, parameters, multiply_adds, inside))
    return found


def _calls(net: Network, channels: int, image_size: int) -> dict[str, tuple[tuple[int, ...], int]]:
    """Return each module's output shape and its own multiply-adds by path, for one image in evaluation."""
    shapes: dict[str, tuple[int, ...]] = {path: () for path, _ in net.named_modules() if path}

    def note_shape(path: str, result: Any) -> None:
        shapes[path] = tuple(result.shape[1:]) if isinstance(result, Tensor) else ()

    image = torch.empty(1, channels, image_size, image_size, device=next(net.parameters()).device)
    counter = FlopCounterMode(display=False)
    shared = own_shares(net, lambda: counter.get_total_flops() // 2, note_shape)
    with evaluating(net), torch.no_grad(), counter, shared as shares:
        net(image)
    shares["attention"] = shares.get("attention", 0) + shares.pop("")  # its `classify` is no module's forward pass
    called = {path: (shapes[path], round(share)) for path, share in shares.items()}
    return called | {path: (shape, 0) for path, shape in shapes.items() if path not in called}


@contextmanager
def own_shares(
    net: nn.Module, total: Callable[[], float], seen: Callable[[str, Any], None] = lambda path, result: None
) -> Iterator[dict[str, float]]:
    """Count what each module's forward passes add to a running total, without those of the modules that it calls.

    Args:
        net: whose forward passes run in the context.
        total: reads the total.
        seen: called with path and result after each module's forward pass.

    Yields:
        What was added, by module path in the order of the first addition; what no submodule added is under "".
    """
    shares: dict[str, float] = {}
    running, counted = [""], total()

    def note() -> None:
        nonlocal counted
        now = total()
        shares[running[-1]] = shares.get(running[-1], 0) + now - counted
        counted = now

    def begin(path: str, module: nn.Module, given: Any) -> None:
        note()
        running.append(path)

    def end(path: str, module: nn.Module, given: Any, result: Any) -> None:
        note()
        running.pop()
        seen(path, result)

    modules = [(path, module) for path, module in net.named_modules() if path]
    handles = [module.register_forward_pre_hook(partial(begin, path)) for path, module in modules]
    handles += [module.register_forward_hook(partial(end, path)) for path, module in modules]
    try:
        yield shares
        note()
    finally:
        for handle in handles:
            handle.remove()
