"""A network in evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Switch a network to evaluation, and all of it back to the network's own mode in the end."""
    training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(training)
