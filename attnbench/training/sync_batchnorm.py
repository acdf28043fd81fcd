"""Batch normalisation over the images of all processes of a run: `trainer.sync_batchnorm`.

torch's `SyncBatchNorm` computes on GPUs only; elsewhere `SyncBatchNorm` of this module does, so that a run on several
devices can be compared with one on a single device anywhere. Names in a state dict stay as they are.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """Sum over processes; each process's loss depends on all summands, so gradients are summed too."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradients[0])


def sum_over_processes(value: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; it can be differentiated once."""
    return cast(Tensor, _Sum.apply(value))


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of the images of all processes.

    It does not derive from torch's, which `DistributedDataParallel` rejects on a CPU.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept maps with any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise a map (B, C, ...); B may differ between processes."""
        if not self.training:
            return super().forward(input)
        others = [dimension for dimension in range(input.ndim) if dimension != 1]
        shape = [-1 if dimension == 1 else 1 for dimension in range(input.ndim)]
        values = input.float()
        count = sum_over_processes(torch.tensor(float(input.numel() // input.shape[1])))
        mean = sum_over_processes(values.sum(others)) / count
        centred = values - mean.view(shape)
        variance = sum_over_processes(centred.square().sum(others)) / count
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


def synchronise_batch_norms(net: nn.Module, device_type: str) -> None:
    """Replace the batch normalisations of a network in place by synchronised ones, with their parameters and buffers.

    Args:
        net: the network.
        device_type: on which it computes, as torch names it.
    """
    if device_type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(net)
        return
    replaced: dict[nn.Module, SyncBatchNorm] = {}
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm):
                parent.add_module(name, replaced.setdefault(child, _synchronised(child)))


def _synchronised(norm: _BatchNorm) -> SyncBatchNorm:
    options = (norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    result = SyncBatchNorm(*options)
    result.weight, result.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(result, name, buffer)
    return result.train(norm.training)
