"""Batch normalisation over the images of all processes of a run: `trainer.sync_batchnorm`.

torch's `SyncBatchNorm` computes on GPUs only; the one here does on a CPU too, so that a run on several devices can be
compared with one on a single device anywhere. Names in a state dict stay as they are.
"""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from attnbench.training.freezing import BATCH_NORMS


class SyncBatchNorm(nn.SyncBatchNorm):
    """Batch normalisation whose mean and variance are those of the images of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise a map (B, C, ...); B may differ between processes."""
        if input.device.type != "cpu" or not self.training:
            return super().forward(input)
        others = [dimension for dimension in range(input.ndim) if dimension != 1]
        shape = [-1 if dimension == 1 else 1 for dimension in range(input.ndim)]
        values = input.float()
        count = all_reduce(torch.tensor(float(input.numel() // input.shape[1])))
        mean = all_reduce(values.sum(others)) / count
        centred = values - mean.view(shape)
        variance = all_reduce(centred.square().sum(others)) / count
        self._track(mean.detach(), variance.detach() * count / (count - 1))
        result = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            result = result * self.weight.view(shape) + self.bias.view(shape)
        return result.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch, whose variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


def synchronise_batch_norms(net: nn.Module) -> None:
    """Replace the batch normalisations of a network in place by `SyncBatchNorm`, with their parameters and buffers."""
    replaced: dict[nn.Module, SyncBatchNorm] = {}
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, BATCH_NORMS):
                parent.add_module(name, replaced.setdefault(child, _synchronised(child)))


def _synchronised(norm: nn.modules.batchnorm._BatchNorm) -> SyncBatchNorm:
    options = (norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    result = SyncBatchNorm(*options)
    result.weight, result.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(result, name, buffer)
    return result.train(norm.training)
