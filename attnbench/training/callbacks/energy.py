"""Energy used by a run's devices, where they report it: NVIDIA's GPUs (NVML), and CPUs on Linux (RAPL).

A counter covers the whole device, including other programs that run on it at the same time.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

RAPL = Path("/sys/class/powercap")
Joules = Callable[[], float]


class EnergyMeter:
    """Sum of joules since the meter was made; None without a counter."""

    def __init__(self, counters: list[Joules]) -> None:
        self.counters = counters
        self.started = [counter() for counter in counters]

    def joules(self) -> float | None:
        """Return the joules of all counters so far."""
        if not self.counters:
            return None
        return sum(counter() - started for counter, started in zip(self.counters, self.started, strict=True))


class EnergyCallback(Callback):
    """Read a meter after each epoch, since counters wrap around."""

    def __init__(self, meter: EnergyMeter) -> None:
        self.meter = meter

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.meter.joules()


def meter_of(device_type: str, local_rank: int = 0) -> EnergyMeter:
    """Return a process's meter. Its run's energy is the sum over all: the first of a machine counts all of its CPUs."""
    shared = device_type == "cpu" and local_rank > 0
    return EnergyMeter([lambda: 0.0] if shared else counters_of(device_type))


def counters_of(device_type: str, rapl: Path = RAPL) -> list[Joules]:
    """Return counters of the devices that a process computes on: its GPU, or the machine's CPUs."""
    if device_type == "cuda":
        return gpu_counters()
    return cpu_counters(rapl) if device_type == "cpu" else []


def gpu_counters() -> list[Joules]:
    """Return a counter for the current GPU, if NVIDIA's library is installed and the GPU has one."""
    try:
        import pynvml
    except ImportError:
        return []
    import torch

    try:
        pynvml.nvmlInit()
        uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode())
        pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    except (pynvml.NVMLError, AttributeError, RuntimeError) as error:
        warnings.warn(f"this GPU's energy is not known: {error}", stacklevel=2)
        return []
    return [lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000]  # millijoules


def cpu_counters(rapl: Path = RAPL) -> list[Joules]:
    """Return a counter for each CPU package; none where there is none, or only an administrator may read it."""
    found = []
    for folder in sorted(rapl.glob("intel-rapl:[0-9]*")):
        if folder.name.count(":") == 1:  # a second colon is a part of a package
            try:
                found.append(RaplCounter(folder))
            except OSError:
                continue  # not readable for this user: the energy is not reported
    return list(found)


class RaplCounter:
    """Joules of a CPU package.

    The hardware counter wraps around after the better part of an hour under load; a wrap is noticed if the counter is
    read often enough.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "energy_uj"
        self.range = int((folder / "max_energy_range_uj").read_text())
        self.total, self.last = 0, int(self.file.read_text())

    def __call__(self) -> float:
        now = int(self.file.read_text())
        self.total += (now - self.last) % (self.range + 1)
        self.last = now
        return self.total / 1e6
