"""Device, precision, memory layout and threads of a run. Choices of `auto` are made once and recorded."""

import os
import platform
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from attnbench.classifier import Network
from attnbench.cores import SHARE_VARIABLE, idle_cores, threads_are_set
from attnbench.errors import OptionError, require, require_choice
from attnbench.training.malloc import keep_freed_memory
from attnbench.training.trainer_ranges import GRAPHS, check_counts

N = TypeVar("N", bound=Network)
SMALLEST_BLOCK = 16
BLOCK_LENGTH = 64
"""Lightning's loop costs about 0.8 ms a block on a slow core; metrics wait on the device until a block ends."""

LOOK_SECONDS = 0.5
"""Time in which idle cores are counted."""


@dataclass(frozen=True)
class TrainerOptions:
    """Options of the group `trainer`, with their ranges checked; see `configs/trainer/default.yaml`."""

    accelerator: str
    devices: int
    nodes: int
    sync_batchnorm: bool
    precision: str
    channels_last: bool | str
    compile: bool | str
    block_length: int | str
    threads: int | str
    performance: str
    progress: bool

    def __post_init__(self) -> None:
        require_choice("accelerator", self.accelerator, ("auto", "cpu", "gpu", "mps"))
        require_choice("precision", self.precision, ("auto", "bf16", "fp32"))
        require_choice("performance", self.performance, ("fixed", "auto"))
        on_gpu = self.compile != GRAPHS or choose_accelerator(self.accelerator) == "gpu"
        require(on_gpu, "compile", GRAPHS, "needs a GPU, whose graphs they are; true compiles on any device")
        check_counts(vars(self))
        available = {"gpu": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
        if self.accelerator in available and not available[self.accelerator]:
            raise OptionError("accelerator", self.accelerator, "there is none on this machine; leave it at auto")
        most = available.get(choose_accelerator(self.accelerator))
        if most is not None and self.devices > most:
            raise OptionError("devices", self.devices, f"this machine has {most}")

    @property
    def processes(self) -> int:
        """Processes of the run, one for each device of each machine."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class Hardware:
    """Hardware choices of one run, recorded and used again when the run resumes.

    Attributes:
        accelerator: `cpu`, `gpu` or `mps`.
        devices: number of devices of each machine.
        device_name: the device as its maker calls it.
        precision: `bf16` (autocast) or `fp32`.
        channels_last: whether maps are stored with their channels last.
        threads: CPU threads.
        block_length: optimiser steps per call of Lightning's loop.
        nodes: number of machines.
        compile: whether the features are compiled; `graphs`: with CUDA graphs.
    """

    accelerator: str
    devices: int
    device_name: str
    precision: str
    channels_last: bool
    threads: int
    block_length: int
    nodes: int = 1
    compile: bool | str = False

    def as_dict(self) -> dict[str, Any]:
        """Return the choices as plain data for the record."""
        return asdict(self)

    @property
    def device_type(self) -> str:
        """The kind of device as torch names it."""
        return "cuda" if self.accelerator == "gpu" else self.accelerator


def set_up(hardware: Hardware) -> None:
    """Set torch's CPU threads; on a CPU also glibc's thresholds for freed memory (see malloc.py)."""
    torch.set_num_threads(hardware.threads)
    if hardware.accelerator == "cpu":
        keep_freed_memory()


def on_device_layout(net: N, hardware: Hardware) -> N:
    """Bring a network into the memory layout of its device, and compile its backbone if it is to be.

    CUDA graphs launch all kernels of a step at once, which pays for small networks, whose kernels are over before the
    next one is launched. torch.compile makes them in the mode that it calls `reduce-overhead`.
    """
    if hardware.channels_last:
        net = net.to(memory_format=torch.channels_last)
    if hardware.compile:
        mode = "reduce-overhead" if hardware.compile == GRAPHS else "default"
        net.backbone.compile(mode=mode)  # in place, so that names in checkpoints stay
    return net


def choose_accelerator(wanted: str) -> str:
    """Resolve `auto`: a GPU if there is one, then Apple's, else the CPU."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "gpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def cpu_computes_bf16() -> bool:
    """Return whether this CPU multiplies bf16 in hardware; emulated, it is ten times slower than fp32."""
    flags = set(_cpu_info("flags").split()) | set(_cpu_info("Features").split())
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})


def _cpu_info(field: str) -> str:
    """Return a field of the first processor in /proc/cpuinfo; empty on systems without that file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == field), "")


def gains_from_bf16(accelerator: str) -> bool:
    """Return whether training in bf16 is faster than in fp32."""
    if accelerator == "gpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return accelerator == "cpu" and cpu_computes_bf16()


def breaks_in_channels_last(net: nn.Module) -> bool:
    """Return whether a CPU would compute wrong gradients for this network in channels_last, or crash.

    oneDNN writes past its workspace for the weights of a strided 1x1 convolution with fewer input channels than its
    block, 8 or 16 (oneDNN issue 6035, open as of torch 2.15).
    """
    return any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels // layer.groups < SMALLEST_BLOCK
        for layer in net.modules()
    )


def check_memory_layout(options: TrainerOptions, net: nn.Module) -> None:
    """Raise `OptionError` if channels_last is asked for where it breaks."""
    if options.channels_last is True and choose_accelerator(options.accelerator) == "cpu":
        reason = "oneDNN breaks for a strided 1x1 convolution of under 16 channels, which this network has"
        require(not breaks_in_channels_last(net), "channels_last", options.channels_last, f"{reason}; leave it at auto")


def check_compiling(options: TrainerOptions, accumulate: int) -> None:
    """Raise `OptionError` if gradients would outlive the graph that they lie in.

    torch's CUDA graphs overwrite what an earlier replay gave out, so a gradient that waits for the next batch's raises
    an error there (pytorch issue 169545).
    """
    reason = f"cannot be used with recipe.accumulate={accumulate}: each batch would overwrite the gradients before it"
    require(options.compile != GRAPHS or accumulate == 1, "compile", GRAPHS, f"{reason}; true compiles without graphs")


def resolve(options: TrainerOptions, net: nn.Module, recorded: dict[str, Any] | None = None) -> Hardware:
    """Resolve every choice of `auto`, or take over those that an earlier part of the run made.

    Args:
        options: the trainer's options.
        net: the network, with or without weights; its layers decide on the memory layout.
        recorded: the choices in the run's record, if the run resumes.
    """
    accelerator, length, recorded = choose_accelerator(options.accelerator), options.block_length, recorded or {}
    choices: dict[str, Any] = {
        "accelerator": accelerator,
        "devices": options.devices,
        "nodes": options.nodes,
        "device_name": device_name(accelerator),
        "precision": _precision(options.precision, accelerator),
        "channels_last": _channels_last(accelerator, net) if options.channels_last == "auto" else options.channels_last,
        "threads": recorded.get("threads") or _threads(options, accelerator),
        "block_length": BLOCK_LENGTH if length == "auto" else int(length),
        "compile": recorded.get("compile", False) if options.compile == "auto" else options.compile,
    }
    choices |= {key: recorded[key] for key in ("precision", "channels_last") if key in recorded}
    return Hardware(**choices)


def _threads(options: TrainerOptions, accelerator: str) -> int:
    if options.threads != "auto":
        return int(options.threads)
    return max(1, free_threads() // options.devices) if accelerator == "cpu" else torch.get_num_threads()


@cache
def idle_at_start() -> float | None:
    """Return how many cores are idle, counted once: networks that a process compares get equally many threads."""
    return idle_cores(LOOK_SECONDS)


def free_threads() -> int:
    """Return torch's number of threads, or of idle cores if other processes use more than half of the cores.

    oneDNN's kernels spin until all of their threads have come, whatever OpenMP's wait policy. On 2 cores at load 18,
    two threads trained 34 to 44 images in a second of CPU time, and one trained 1,500 to 2,000. OMP_NUM_THREADS counts
    as the user sets it; a job's share of the cores, which is torch's number there, is an upper bound. It rounds idle
    cores to the nearest number, as jobs beside it leave it slightly less than its share.
    """
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if threads == 1 or threads_are_set(os.environ):
        return threads
    idle = idle_at_start()
    if idle is None or idle > cores / 2:
        return threads
    return max(1, min(threads, round(idle) if SHARE_VARIABLE in os.environ else int(idle)))


def _channels_last(accelerator: str, net: nn.Module) -> bool:
    return accelerator == "gpu" or (accelerator == "cpu" and not breaks_in_channels_last(net))


def _precision(wanted: str, accelerator: str) -> str:
    if wanted != "auto":
        return wanted
    return "bf16" if gains_from_bf16(accelerator) else "fp32"


def device_name(accelerator: str) -> str:
    """Return the device's name as its maker calls it."""
    if accelerator == "gpu":
        return torch.cuda.get_device_name()
    if accelerator == "mps":
        return "Apple GPU"
    name = _cpu_info("model name") or platform.processor() or platform.machine()
    return f"{name} ({os.cpu_count()} cores)"
