"""Batch normalisation over the images of all processes of a run: `trainer.sync_batchnorm`.

torch's `SyncBatchNorm` computes on GPUs only; elsewhere `SyncBatchNorm` of this module does, so that a run on several
devices can be compared with one on a single device anywhere. Names in a state dict stay as they are, and so does what
an attention inserted behind a normalisation.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.backbones.slot_calls import WithSlots, move_slots
from attnbench.errors import UserError


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


class Activated(nn.Module):
    """Mixed into a normalisation that activates what it returns, as timm's `BatchNormAct2d` does."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Normalise and activate a map (B, C, ...)."""
        result: Tensor = self.act(self.drop(super().forward(input)))
        return result


class ActivatedSyncBatchNorm(Activated, SyncBatchNorm):
    """Normalises as `SyncBatchNorm` does, and activates."""


class ActivatedTorchSyncBatchNorm(Activated, nn.SyncBatchNorm):
    """Normalises as torch's does, and activates."""


KINDS: dict[tuple[bool, bool], type[_BatchNorm]] = {
    (False, False): SyncBatchNorm,
    (False, True): ActivatedSyncBatchNorm,
    (True, False): nn.SyncBatchNorm,
    (True, True): ActivatedTorchSyncBatchNorm,
}
"""Synchronised normalisations, by whether a GPU computes them and whether they activate."""


def synchronise_batch_norms(net: nn.Module, device_type: str) -> None:
    """Replace the batch normalisations of a network in place by synchronised ones, with their parameters and buffers.

    Args:
        net: the network.
        device_type: on which it computes, as torch names it.

    Raises:
        UserError: a normalisation does more than is known here.
    """
    replaced: dict[nn.Module, nn.Module] = {}
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, _BatchNorm) and not isinstance(child, SyncBatchNorm | nn.SyncBatchNorm):
                if child not in replaced:
                    replaced[child] = _synchronised(child, device_type == "cuda")
                parent.add_module(name, replaced[child])


def _synchronised(norm: _BatchNorm, on_gpu: bool) -> nn.Module:
    activates = _activates(norm)
    options = (norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    result: Any = KINDS[on_gpu, activates](*options)
    result.weight, result.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers(recurse=False):
        setattr(result, name, buffer)
    for name, child in norm.named_children():
        result.add_module(name, child)
    move_slots(norm, result)
    return cast(nn.Module, result.train(norm.training))


def _activates(norm: _BatchNorm) -> bool:
    """Return whether a normalisation is timm's that activates. Raises `UserError` for another with its own forward."""
    kind = norm.original if isinstance(norm, WithSlots) else type(norm)
    if kind.forward is _BatchNorm.forward:
        return False
    if kind.__name__ == "BatchNormAct2d" and kind.__module__.startswith("timm."):
        return True
    raise UserError(f"trainer.sync_batchnorm=true: {kind.__module__}.{kind.__qualname__} cannot be synchronised")
