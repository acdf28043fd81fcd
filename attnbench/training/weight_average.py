"""An exponential moving average of a network's weights, which is evaluated beside them.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 30, 1992; with a
decay as in Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017, arXiv 1703.01780.

`torch.optim.swa_utils.AveragedModel` reads its counter on the host at every step, which waits for the device; here only
its averaging function is used.
"""

import copy
from typing import Self

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from attnbench.classifier import Network
from attnbench.training.lightning_compat import copy_all


class WeightAverage(torch.nn.Module):
    """The average of a network that is trained: a copy of it, in evaluation mode, whose weights follow.

    After each optimiser step, average = decay * average + (1 - decay) * weights. Statistics of batch normalisation are
    averaged likewise, as in timm; whole numbers are copied. The average begins at the network's initial weights.

    Args:
        net: the network.
        decay: in (0, 1).
    """

    def __init__(self, net: Network, decay: float) -> None:
        super().__init__()
        self.net: Network = copy.deepcopy(net).requires_grad_(False)
        self.eval()
        self._average = get_ema_multi_avg_fn(decay)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def follow(self, net: Network, begin: bool) -> None:
        """Follow a network's tensors from now on; both must be on the device on which they stay.

        Args:
            net: the network.
            begin: whether the average begins, at the network's weights.
        """
        if begin:
            self.net.load_state_dict(net.state_dict())
        pairs = list(zip(self.net.state_dict().values(), net.state_dict().values(), strict=True))
        self._averaged = _lists([pair for pair in pairs if pair[0].is_floating_point()])
        self._copied = _lists([pair for pair in pairs if not pair[0].is_floating_point()])

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's weights after an optimiser step."""
        self._average(*self._averaged, None)
        if self._copied[0]:
            copy_all(*self._copied)


def _lists(pairs: list[tuple[Tensor, Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
    return [own for own, _ in pairs], [followed for _, followed in pairs]
