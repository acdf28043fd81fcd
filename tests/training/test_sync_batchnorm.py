"""Batch normalisation over processes: on several devices a run computes what it does on one."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.build import build_model
from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.training.distributed import LOCALHOST
from attnbench.training.sync_batchnorm import SyncBatchNorm, synchronise_batch_norms
from tests.conftest import TINY
from tests.runs.samples import written_record

ROOT = Path(__file__).parents[2]
COMMON = (*TINY, "trainer.accelerator=cpu", "trainer.precision=fp32", "data.validation=201", "logger=none")


@pytest.fixture
def one_process() -> Iterator[None]:
    """A process group of this process alone."""
    store = torch.distributed.HashStore()  # type: ignore[attr-defined]
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6, 5)])
@pytest.mark.parametrize("options", [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}])
def test_it_equals_batch_normalisation_for_one_process(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    kind = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    plain, net = kind(3, **options), nn.Sequential(kind(3, **options))
    net[0].load_state_dict(plain.state_dict())
    synchronise_batch_norms(net, "cpu")
    assert isinstance(net[0], SyncBatchNorm)
    for _ in range(3):
        maps = [(2 + 3 * torch.randn(shape)).requires_grad_() for _ in range(1)]
        other = maps[0].detach().clone().requires_grad_()
        weights = torch.randn(shape)
        for layer, x in ((plain, maps[0]), (net, other)):
            (layer(x) * weights).sum().backward()
        torch.testing.assert_close(net(other), plain(maps[0]))
        torch.testing.assert_close(other.grad, maps[0].grad, rtol=1e-4, atol=1e-5)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(net[0].state_dict()[name], value)
    torch.testing.assert_close(net.eval()(other), plain.eval()(maps[0]))


def test_a_network_keeps_its_names_parameters_and_shared_layers() -> None:
    shared = nn.BatchNorm2d(2)
    net = nn.ModuleDict({"a": nn.Sequential(nn.Conv2d(2, 2, 1), shared), "b": nn.Sequential(shared)})
    before = {name: value.data_ptr() for name, value in net.state_dict(keep_vars=True).items()}
    synchronise_batch_norms(net.eval(), "cpu")
    assert {name: value.data_ptr() for name, value in net.state_dict(keep_vars=True).items()} == before
    assert net["a"][1] is net["b"][0]  # type: ignore[index]
    assert not net["b"][0].training  # type: ignore[index]


@pytest.mark.parametrize("device_type", ["cpu", "cuda"])
@pytest.mark.parametrize(
    "words", ["torchvision/resnet18 attention=se", "timm/regnetx_002", "timm/mobilenetv3_small_050"]
)
def test_activations_and_what_an_attention_inserted_behind_norms_stay(words: str, device_type: str) -> None:
    net = build_model(compose(["data=cifar10", *f"backbone={words}".split()])).eval()
    names, called = set(net.state_dict()), set()
    for path in net.inserted_paths:
        net.get_submodule(path).register_forward_hook(lambda *_, path=path: called.add(path))
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        before = net(images)
        called.clear()
        synchronise_batch_norms(net, device_type)
        after = net(images)
    torch.testing.assert_close(after, before)
    assert called == set(net.inserted_paths)
    assert set(net.state_dict()) == names
    norms = [module for module in net.modules() if isinstance(module, _BatchNorm)]
    assert norms
    assert all(isinstance(norm, nn.SyncBatchNorm if device_type == "cuda" else SyncBatchNorm) for norm in norms)


class Scaled(nn.BatchNorm2d):
    """Does more than normalise."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def test_a_normalisation_that_does_more_is_refused() -> None:
    net = nn.Sequential(Scaled(2))
    with pytest.raises(UserError, match=r"^trainer\.sync_batchnorm=true: .*\.Scaled cannot be synchronised$"):
        synchronise_batch_norms(net, "cpu")
    assert type(net[0]) is Scaled


def attnbench(*words: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    command = [sys.executable, *launcher, "-m", "attnbench", "train", *COMMON, *words]
    environment = {**os.environ, "PYTHONPATH": os.fspath(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def trained(output: str, *words: str) -> RunFolder:
    process = attnbench(*words, f"output={output}")
    text, _ = process.communicate()
    assert process.returncode == 0, text
    (run,) = find_runs(Path(output))
    return run


def compare(found: RunFolder, expected: RunFolder) -> None:
    """Check that two runs are equal to rounding: loss curves, weights and running statistics.

    At a small rate, that is; a large one lets any rounding grow within an epoch.
    """
    for mine, other in zip(found.rows(), expected.rows(), strict=True):
        for name in ("train/loss", "val/loss", "lr"):
            assert mine.metrics[name] == pytest.approx(other.metrics[name], rel=1e-4)
        assert mine.images == other.images
    states = [torch.load(run.last_checkpoint, weights_only=True)["state_dict"] for run in (found, expected)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[1].items():
        torch.testing.assert_close(states[0][name], value, rtol=1e-2, atol=2e-3)


@pytest.mark.slow
def test_two_devices_are_one_with_the_joined_batch() -> None:
    words = ("attention=bam", "attention.reduction=2", "recipe.lr=0.001")
    one = trained("one", *words)
    two = trained("two", *words, "trainer.devices=2", "trainer.sync_batchnorm=true")
    compare(two, one)
    without = trained("without", *words, "trainer.devices=2")
    difference = without.rows()[-1].metrics["train/loss"] or 0.0
    assert difference != pytest.approx(one.rows()[-1].metrics["train/loss"], abs=1e-4)


@pytest.mark.slow
def test_accumulation_on_two_devices_is_one_batch() -> None:
    words = ("backbone=vgg16", "backbone.width=2", "backbone.head=linear", "backbone.dropout=0", "recipe.lr=0.001")
    one = trained("one", *words, "data.batch_size=120")
    two = trained("two", *words, "data.batch_size=40", "recipe.accumulate=3", "trainer.devices=2")
    compare(two, one)


@pytest.mark.slow
def test_two_machines_are_one_run() -> None:
    """torchrun on two machines, both of which are this one."""
    with socket.create_server((LOCALHOST, 0)) as server:
        port = server.getsockname()[1]
    words = ("trainer.nodes=2", "trainer.sync_batchnorm=true", "recipe.lr=0.001", "output=two")
    rendezvous = ("--nnodes=2", "--nproc-per-node=1", f"--master-addr={LOCALHOST}", f"--master-port={port}")
    machines = [
        attnbench(*words, launcher=("-m", "torch.distributed.run", *rendezvous, f"--node-rank={number}"))
        for number in range(2)
    ]
    texts = [machine.communicate()[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], texts
    (run,) = find_runs(Path("two"))
    assert written_record(run.path)["resolved"]["nodes"] == 2
    compare(run, trained("one", "recipe.lr=0.001"))


def test_the_rate_is_scaled_and_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    from attnbench.cli.main import main

    words = ("recipe.lr=0.1", "recipe.lr_batch_size=64", "data.batch_size=32", "recipe.accumulate=4", "recipe.epochs=1")
    assert main(["train", *COMMON, *words, "recipe.schedule=constant", "recipe.warmup=0"]) == 0
    (run,) = find_runs(Path("outputs"))
    assert written_record(run.path)["scaled_lr"] == pytest.approx(0.1 * 32 * 4 / 64)
    assert json.loads(run.metrics_file.read_text())["lr"] == pytest.approx(0.2)
