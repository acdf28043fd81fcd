"""Choices of `auto`, and what is refused."""

import os
from typing import Any

import pytest
import torch
from torch import nn

from attnbench.backbones.preact_resnet import PreActResNet
from attnbench.backbones.resnet import ResNet
from attnbench.config.compose import compose
from attnbench.errors import OptionError, UserError
from attnbench.launch.processes import LocalEngine
from attnbench.training import hardware
from attnbench.training.hardware import TrainerOptions, breaks_in_channels_last, resolve
from attnbench.training.plan import plan


def options(**changed: Any) -> TrainerOptions:
    return TrainerOptions(**{**compose()["trainer"], "accelerator": "cpu", **changed})


NET = nn.Conv2d(3, 16, 3)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"devices": 0}, "devices"),
        ({"threads": 0}, "threads"),
        ({"block_length": 0}, "block_length"),
        ({"precision": "fp16"}, "precision"),
        ({"accelerator": "tpu"}, "accelerator"),
    ],
)
def test_options_that_make_no_sense(changed: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        options(**changed)
    assert caught.value.key == key


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="there is none on this machine"):
        options(accelerator="gpu")


@pytest.mark.parametrize(
    ("flags", "precision"), [("sse avx2", "fp32"), ("avx2 avx512_bf16", "bf16"), ("amx_bf16", "bf16")]
)
def test_bf16_where_the_cpu_computes_it(flags: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_cpu_info", lambda field: flags if field == "flags" else "")
    assert resolve(options(), NET).precision == precision
    assert resolve(options(precision="fp32"), NET).precision == "fp32"
    assert resolve(options(precision="bf16"), NET).precision == "bf16"


def test_recorded_choices_are_taken_over() -> None:
    recorded = {"precision": "bf16", "threads": 7, "channels_last": False, "device_name": "another"}
    found = resolve(options(), NET, recorded)
    assert (found.precision, found.threads, found.channels_last) == ("bf16", 7, False)
    assert found.device_name != "another"


@pytest.mark.parametrize(("idle", "threads"), [(None, 8), (8.0, 8), (4.1, 8), (4.0, 4), (3.9, 3), (0.2, 1)])
def test_threads_are_the_cores_that_are_idle_on_a_busy_machine(
    idle: float | None, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(hardware, "idle_at_start", lambda: idle)
    assert resolve(options(), NET).threads == threads
    assert resolve(options(), NET, {"threads": 6}).threads == 6
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert resolve(options(), NET).threads == 8


@pytest.mark.parametrize(
    ("idle", "slots", "threads"),
    [(0.2, 1, 1), (3.9, 1, 4), (6.0, 1, 8), (None, 1, 8), (3.8, 2, 4), (2.4, 2, 2), (0.2, 4, 1), (0.2, 8, 1)],
)
def test_a_job_computes_on_its_share_of_the_cores_or_those_that_are_idle(
    idle: float | None, slots: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(hardware, "idle_at_start", lambda: idle)
    environment = LocalEngine(slots).environment([0])
    monkeypatch.setattr(os, "environ", environment)  # as the server of jobs does
    monkeypatch.setattr(torch, "get_num_threads", lambda: int(environment["OMP_NUM_THREADS"]))
    assert resolve(options(), NET).threads == threads


def test_a_job_keeps_the_threads_that_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    monkeypatch.setattr(hardware, "idle_at_start", lambda: 0.2)
    monkeypatch.setattr(os, "environ", LocalEngine(1).environment([0]))
    assert os.environ["OMP_NUM_THREADS"] == "8"
    assert resolve(options(), NET).threads == 8


def test_devices_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")  # however busy the machine
    torch.set_num_threads(2)
    assert resolve(options(devices=2), NET).threads == 1
    assert resolve(options(threads=5), NET).threads == 5
    torch.set_num_threads(1)


def test_channels_last_where_it_is_safe() -> None:
    with torch.device("meta"):
        wide, narrow = PreActResNet(20, 10), PreActResNet(20, 10, width=8)
        padded = ResNet(20, 10, width=4)
    assert [breaks_in_channels_last(net) for net in (wide, narrow, padded)] == [False, True, False]
    assert resolve(options(), wide).channels_last
    assert not resolve(options(), narrow).channels_last
    with pytest.raises(UserError, match=r"trainer\.channels_last=true: oneDNN breaks"):
        plan(compose(["backbone=preact_resnet20", "backbone.width=8", "trainer.channels_last=true"]))
