"""Count the cost of a network: parameters and multiply-adds.

Multiply-adds are those of convolutions and matrix products, as papers count them; biases, normalisation, activations,
pooling and element-wise products are left out. Counting works on the meta device, where nothing is computed.

A method is counted in its paper's formulation. Where a cheaper equivalent runs instead (gated attention pools before it
projects), that is counted beside it. An evaluation that exits early is counted up to its exit.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnbench.classifier import Classifier


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


def count(net: Classifier, channels: int, image_size: int) -> Cost:
    """Count a classifier's cost for an image of `channels` x `image_size` x `image_size`."""
    training = net.training
    net.eval()
    executed = in_paper = multiply_adds_by_module(net, channels, image_size)
    if (paper := net.attention.count_as_in_paper()) is not None:
        with paper:
            in_paper = multiply_adds_by_module(net, channels, image_size)
    net.train(training)
    inserted = net.inserted_paths
    # an attention's `classify` is no module's forward pass: its share is the rest beside the backbone
    outside = in_paper[""] - sum(in_paper.get(path, 0) for path in ["backbone", *net.head_paths])
    return Cost(
        parameters=count_parameters(net),
        multiply_adds=in_paper[""],
        executed_multiply_adds=executed[""],
        attention_parameters=sum(count_parameters(net.get_submodule(path)) for path in [*inserted, "attention"]),
        attention_multiply_adds=outside + sum(in_paper.get(path, 0) for path in inserted),
    )


@torch.no_grad()
def multiply_adds_by_module(net: Classifier, channels: int, image_size: int) -> dict[str, int]:
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
