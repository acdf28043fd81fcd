"""The parts of a record: what the run was trained on, what the network costs, and with what it was computed."""

from dataclasses import dataclass, field

from attnbench.runs.json_objects import JsonObject, between

Metrics = dict[str, float | None]
"""Metrics by flat name (see `metric_names`); None where one is not measured, as top-5 accuracy below 6 classes."""


@dataclass(frozen=True, kw_only=True)
class DataRecord(JsonObject):
    """The data set of a run.

    fingerprint: of its files. classes: that the run learned; all_classes: of the whole set, where these are more.
    image_size: width and height in pixels. skipped_images: left out, as they cannot be decoded.
    """

    fingerprint: str
    classes: int = field(metadata=between(1))
    image_size: int = field(metadata=between(1))
    all_classes: int | None = field(default=None, metadata=between(0))
    train_images: int | None = field(default=None, metadata=between(0))
    validation_images: int | None = field(default=None, metadata=between(0))
    test_images: int | None = field(default=None, metadata=between(0))
    skipped_images: int = field(default=0, metadata=between(0))


@dataclass(frozen=True, kw_only=True)
class CostRecord(JsonObject):
    """The cost of a network for one image; the fields are those of `attnbench.cost.Cost`, which needs torch."""

    parameters: int = field(metadata=between(0))
    multiply_adds: int = field(metadata=between(0))
    executed_multiply_adds: int = field(metadata=between(0))
    attention_parameters: int = field(metadata=between(0))
    attention_multiply_adds: int = field(metadata=between(0))


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
    nodes: int = 1
    compile: bool | str = False


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
