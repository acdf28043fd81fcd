"""Training that diverges: a loss or weights that are no longer finite.

Nothing waits for the device within a block of steps: the losses of its steps, which the meter stores anyway, are read
at its end. The layer in which it began is found by repeating the steps since the last snapshot of the weights, and so
does not depend on how long a block is.
"""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from attnbench.training.checkpoints import not_finite
from attnbench.training.failures import DivergedError

if TYPE_CHECKING:
    from attnbench.data.loaders.base import Epoch
    from attnbench.training.datamodule import Block
    from attnbench.training.lightning_module import TrainingModule

SNAPSHOT_STEPS = 64
"""Optimiser steps between two snapshots, or a block's if it is longer: at most this many steps are repeated."""
ADVICE = (
    "a lower recipe.lr, recipe.clip_norm or a longer recipe.warmup may help; run.on_divergence=continue trains on all "
    "the same"
)


logger = logging.getLogger(__name__)


class DivergenceWatch:
    """Ends training at the first step after which loss or weights are not finite.

    Args:
        module: what is trained.
        stop: whether training ends; otherwise a warning is logged once, and nothing is searched for.
    """

    def __init__(self, module: "TrainingModule", stop: bool) -> None:
        self.module, self.stop = module, stop
        self.diverged = False
        self.snapshot: Snapshot | None = None

    def before(self, block: "Block", optimizer: torch.optim.Optimizer) -> None:
        """Take a snapshot before a block, unless the last one is of a few steps before."""
        first = block.numbers.start
        if first % self.module.recipe.accumulate:
            return  # gradients of earlier batches are waiting
        if self.stop and (first == 0 or self.snapshot is None or first - self.snapshot.step >= SNAPSHOT_STEPS):
            self.snapshot = Snapshot.take(first, self.module.net, optimizer, self.module.device)

    def after(self, block: "Block", optimizer: torch.optim.Optimizer) -> None:
        """Check the losses of a block's steps. Waits for the device.

        Raises:
            DivergedError: one is not finite, and training is to end.
        """
        if self.diverged:
            return
        step = first_bad_step(self.module.meter.losses, block.numbers)
        if step is not None:
            loss = sum(values[step].item() for values in self.module.meter.losses.values())
            what = f"the loss is {loss:g}" if not math.isfinite(loss) else "the loss of another process is not finite"
            self._end(what, lambda: self._layer_of(block, step, optimizer), step)

    def after_epoch(self) -> None:
        """Check the weights after an epoch's last step. Raises `DivergedError` if one is not finite."""
        weights = self.module.net.state_dict()
        floating = [tensor for tensor in weights.values() if tensor.is_floating_point()]
        if self.diverged or get_total_norm(floating, math.inf).isfinite():  # one wait for all weights together
            return
        if name := next(not_finite(weights.items()), ""):
            where = f"the weights or statistics of {name.rpartition('.')[0]}"
            self._end("weights or statistics are not finite", lambda: where, self.module.batches - 1)

    def after_evaluation(self, split: str, loss: float) -> None:
        """Check the loss on validation or test images. Raises `DivergedError` if it is not finite."""
        if not self.diverged and not torch.tensor(loss).isfinite():
            epoch = self.module.loaders[split].epoch()
            self._end(f"the {split} loss is {loss:g}", lambda: self._layer_in(epoch), self.module.batches - 1)

    def _end(self, what: str, where: Callable[[], str], step: int) -> None:
        self.diverged = True
        module = self.module
        found = where() if self.stop else ""
        message = describe(what, found, module.epochs_begun, step + 1, module.batches)
        if self.stop:
            raise DivergedError(f"{message}; {ADVICE}")
        logger.warning("%s; trains on, as run.on_divergence=continue says", message)

    def _layer_of(self, block: "Block", step: int, optimizer: torch.optim.Optimizer) -> str:
        """Return the layer in which a step's loss began not to be finite."""
        assert self.snapshot is not None
        self.snapshot.restore(self.module.net, optimizer, self.module.device)
        optimizer.zero_grad(set_to_none=True)
        for number in range(self.snapshot.step, step):
            self.module.step(optimizer, block.epoch, number)
        return first_layer(self.module.net, lambda: self.module.forward_pass(block.epoch, step))

    def _layer_in(self, epoch: "Epoch") -> str:
        """Return the layer in which a loss on images of an epoch began not to be finite."""

        def forward() -> None:
            for images, _ in epoch:
                with self.module.autocast():
                    self.module.net.output(images)

        return first_layer(self.module.net, forward)


def first_bad_step(losses: Mapping[str, Tensor], numbers: range) -> int | None:
    """Return the first step of a block with a loss that is not finite in any process; None without one.

    Args:
        losses: (N,) of each step of the epoch, by name.
        numbers: the block's steps.
    """
    finite = torch.stack([values[numbers.start : numbers.stop] for values in losses.values()]).isfinite().all(0)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        finite = finite.to(torch.uint8)
        torch.distributed.all_reduce(finite, torch.distributed.ReduceOp.MIN)
    bad = (finite == 0).tolist()
    return numbers.start + bad.index(True) if True in bad else None


def describe(what: str, where: str, epoch: int, step: int, steps: int) -> str:
    """Return how training diverged: what is not finite, in which epoch and step, and in which layer it began."""
    layer = f"; the first values that are not finite are in {where}" if where else ""
    return f"training diverged in epoch {epoch}, step {step} of {steps}: {what}{layer}"


@dataclass(frozen=True)
class Snapshot:
    """The state of training before a step, on the device.

    Attributes:
        step: number of the step in its epoch.
        weights: of the network.
        optimizer: the optimiser's state.
        random: the states of the generators that dropout and the like draw from: the CPU's and the device's.
    """

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    random: tuple[Tensor, Tensor | None]

    @classmethod
    def take(cls, step: int, net: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> "Snapshot":
        """Copy the state before a step."""
        weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        generators = torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(step, weights, copied(optimizer.state_dict()), generators)

    def restore(self, net: nn.Module, optimizer: torch.optim.Optimizer, device: torch.device) -> None:
        """Bring network, optimiser and generators back to this state."""
        net.load_state_dict(self.weights)
        optimizer.load_state_dict(self.optimizer)
        torch.set_rng_state(self.random[0])
        if self.random[1] is not None:
            torch.cuda.set_rng_state(self.random[1], device)


def copied(state: Any) -> Any:
    """Return nested dictionaries and lists with copies of their tensors; `copy.deepcopy` takes eight times as long."""
    if isinstance(state, dict):
        return {key: copied(value) for key, value in state.items()}
    if isinstance(state, list):
        return [copied(value) for value in state]
    return state.clone() if isinstance(state, Tensor) else state


def first_layer(net: nn.Module, forward: Callable[[], object]) -> str:
    """Return the first layer, in the order of computation, whose output is not finite; empty if all are finite.

    Args:
        net: the network.
        forward: runs it.
    """
    found: list[str] = []
    with _watched(net, found), torch.compiler.set_stance("force_eager"):
        forward()
    return found[0] if found else ""


@contextmanager
def _watched(net: nn.Module, found: list[str]) -> Iterator[None]:
    """Collect the layers whose output is not finite."""

    def watch(name: str, layer: nn.Module) -> Any:
        def check(_: nn.Module, __: Any, output: Any) -> None:
            if not found and not all_finite(output):
                found.append(f"the {'output' if _has_finite_weights(layer) else 'weights'} of {name}")

        return layer.register_forward_hook(check)

    handles = [watch(name, layer) for name, layer in net.named_modules() if name]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _has_finite_weights(layer: nn.Module) -> bool:
    """Return whether a layer's own weights are finite; its statistics count where it uses them."""
    statistics = [] if layer.training else [*layer.buffers(recurse=False)]
    return all_finite([*layer.parameters(recurse=False), *statistics])


def all_finite(content: Any) -> bool:
    """Return whether all tensors in nested tuples, lists and dictionaries are finite."""
    if isinstance(content, Tensor):
        return not content.is_floating_point() or bool(content.isfinite().all())
    if isinstance(content, dict):
        return all(map(all_finite, content.values()))
    return all(map(all_finite, content)) if isinstance(content, tuple | list) else True
