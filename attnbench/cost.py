"""What a network costs: parameters and multiply-adds, counted and not estimated.

Multiply-adds are those of convolutions and matrix products, as papers count them; biases, normalisation, activations,
pooling and element-wise products are left out. Counting runs on the meta device: nothing is computed.
A method is counted as its paper writes it; what runs here may be less work for the same values (gated attention pools
before it projects) and is counted beside it. An evaluation that leaves early is counted as far as it goes.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from attnbench.classifier import Classifier


@dataclass(frozen=True)
class Cost:
    """Cost of one network for one image.

    parameters: those that train or could. multiply_adds: of one forward pass in evaluation, as the paper writes it;
    executed_multiply_adds: as it runs. attention_parameters and attention_multiply_adds: the share of what an
    attention inserted or owns, as written.
    """

    parameters: int
    multiply_adds: int
    executed_multiply_adds: int
    attention_parameters: int
    attention_multiply_adds: int


def count_parameters(module: nn.Module) -> int:
    """Number of parameters, each counted once; running statistics are not parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def count(net: Classifier, channels: int, image_size: int) -> Cost:
    """Count a classifier's cost for an image of `channels` x `image_size` x `image_size`."""
    training = net.training
    net.eval()
    executed = written = multiply_adds_by_module(net, channels, image_size)
    if (paper := net.attention.count_as_in_paper()) is not None:
        with paper:
            written = multiply_adds_by_module(net, channels, image_size)
    net.train(training)
    inserted = net.inserted_paths
    # an attention's `classify` is no module's forward pass: it is what is left beside the backbone
    outside = written[""] - sum(written.get(path, 0) for path in ["backbone", *net.head_paths])
    return Cost(
        parameters=count_parameters(net),
        multiply_adds=written[""],
        executed_multiply_adds=executed[""],
        attention_parameters=sum(count_parameters(net.get_submodule(path)) for path in [*inserted, "attention"]),
        attention_multiply_adds=outside + sum(written.get(path, 0) for path in inserted),
    )


@torch.no_grad()
def multiply_adds_by_module(net: Classifier, channels: int, image_size: int) -> dict[str, int]:
    """Multiply-adds of one image's forward pass by module path, with those of the whole network as ""."""
    image = torch.empty(1, channels, image_size, image_size, device=next(net.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        net(image)
    # the counter calls a module by its path below the root's class name, and counts 2 per multiply-add
    found = {
        path.removeprefix(f"{type(net).__name__}."): sum(flops.values()) // 2
        for path, flops in counter.get_flop_counts().items()
    }
    return {**found, "": counter.get_total_flops() // 2}
