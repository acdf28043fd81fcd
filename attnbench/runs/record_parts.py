"""The parts of a record: what the run was trained on, what the network costs, and with what it was computed."""

from dataclasses import dataclass, field

from attnbench.runs.json_objects import JsonObject

Metrics = dict[str, float | None]
"""Metrics by flat name (see `metric_names`); None where one is not measured, as top-5 accuracy below 6 classes."""


@dataclass(frozen=True, kw_only=True)
class DataRecord(JsonObject):
    """The data set of a run.

    fingerprint: of its files. classes: that the run learned; all_classes: of the whole set, where these are more.
    image_size: width and height in pixels. skipped_images: left out, as they cannot be decoded.
    """

    fingerprint: str
    classes: int
    image_size: int
    all_classes: int | None = None
    train_images: int | None = None
    validation_images: int | None = None
    test_images: int | None = None
    skipped_images: int = 0


@dataclass(frozen=True, kw_only=True)
class CostRecord(JsonObject):
    """The cost of a network for one image; the fields are those of `attnbench.cost.Cost`, which needs torch."""

    parameters: int
    multiply_adds: int
    executed_multiply_adds: int
    attention_parameters: int
    attention_multiply_adds: int


@dataclass(frozen=True, kw_only=True)
class HardwareRecord(JsonObject):
    """Device, precision and threads of a run, with every `auto` resolved.

    The fields are those of `attnbench.training.hardware.Hardware`, which needs torch.
    """

    accelerator: str
    devices: int
    device_name: str
    precision: str
    channels_last: bool | None = None
    threads: int
    block_length: int | None = None


@dataclass(frozen=True, kw_only=True)
class GitState(JsonObject):
    """A commit, and whether tracked files differed from it."""

    commit: str
    dirty: bool


@dataclass(frozen=True, kw_only=True)
class Environment(JsonObject):
    """The software of a run.

    attnbench: its version. git: the state of its checkout, None for an installed package. packages: versions by name.
    python, platform: as Python's module `platform` names them. host: the machine's name, left out of kept results.
    """

    attnbench: str
    git: GitState | None
    packages: dict[str, str] = field(default_factory=dict)
    python: str = ""
    platform: str = ""
    host: str | None = None
