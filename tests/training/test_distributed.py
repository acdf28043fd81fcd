"""Two processes on one run: every step reduces its gradients, and metrics are those of all images."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.build import build_model
from attnbench.cli.sweep import require_one_machine
from attnbench.config.compose import Composer, compose
from attnbench.config.validate import RunConfig
from attnbench.construct import build_data
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.errors import UserError
from attnbench.runs.evaluations import settle
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.predictions import read_predictions
from attnbench.training import datamodule
from attnbench.training.distributed import LOCALHOST, MeetingError, World, take_world
from attnbench.training.evaluate import evaluate as evaluate_run
from attnbench.training.metrics import ImageCountError
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.runs.samples import written_record

WORDS = (
    "attention=bam",
    "attention.reduction=2",
    "trainer.accelerator=cpu",
    "trainer.devices=2",
    "trainer.precision=fp32",  # in bf16 a batch's make-up moves some images across the border
    "data.validation=201",
)


@pytest.fixture
def run(own_folder: Path) -> RunFolder:
    """A run on two processes, with a callback that saves what each ends with."""
    (own_folder / "mine" / "callbacks").mkdir(parents=True)
    spy = f"spy:\n  _target_: tests.training.spy.SaveWeights\n  folder: {own_folder}\n"
    (own_folder / "mine" / "callbacks" / "spy.yaml").write_text(spy)
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "attnbench", "train", *TINY, *WORDS, "--config-dir", "mine", "callbacks=spy"]
    environment = {**os.environ, "PYTHONPATH": os.fspath(root)}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    assert result.stdout.count("epoch 2/2") == 1
    (found,) = find_runs(Path("outputs"))
    return found


def test_two_processes_are_one_run(run: RunFolder, own_folder: Path) -> None:
    first, second = (torch.load(own_folder / f"rank{rank}.pt", weights_only=True) for rank in (0, 1))
    seen = [first.pop("seen"), second.pop("seen")]
    # each epoch's images are shared out without overlap
    half = len(seen[0]) // 2
    for epoch in (slice(None, half), slice(half, None)):
        assert not set(seen[0][epoch]) & set(seen[1][epoch])
    assert len(seen[0]) + len(seen[1]) == 2 * 1236
    # the same weights in both, which are the ones that were saved
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    saved = torch.load(run.last_checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(saved[f"net.{key}"], value) for key, value in first.items())
    # metrics over all images: the saved network, evaluated by one process, gives the recorded ones
    record = written_record(run.path)
    assert record["images"] == 2 * 1236
    assert record["resolved"]["devices"] == 2
    for split, prefix in (("validation", "val"), ("test", "test")):
        found = evaluate(record["config"], first, split)
        assert found["top1"] == record[f"{prefix}/top1_accuracy"]
        assert found["loss"] == pytest.approx(record[f"{prefix}/loss"], rel=1e-5)
    predictions = read_predictions(run.last_predictions)
    assert predictions is not None
    assert predictions.accuracy == record["test/top1_accuracy"]
    assert predictions.label.tolist() == build_data(compose([*TINY, *WORDS])).load("test").labels.tolist()


def evaluate(values: dict[str, Any], state: dict[str, torch.Tensor], split: Any) -> dict[str, float]:
    config = compose([*TINY, *WORDS])
    assert config["attention"] == values["attention"]
    data = build_data(config)
    net = build_model(config, data).eval()
    net.load_state_dict(state)
    pipeline = InMemoryLoader(data.load(split), data.mean, data.std, 64, Placement(torch.device("cpu")))
    with torch.no_grad():
        logits, labels = (torch.cat(parts) for parts in zip(*((net(x), y) for x, y in pipeline.epoch()), strict=True))
    hits = (logits.argmax(1) == labels).sum().item()
    return {"top1": hits / len(labels), "loss": torch.nn.functional.cross_entropy(logits, labels).item()}


TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "1",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_TASK_PID": str(os.getpid()),
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "7",
}


@pytest.mark.parametrize(
    "left_over",
    [
        {"WORLD_SIZE": "2"},
        {"WORLD_SIZE": "abc"},
        {"RANK": "1"},
        {"NODE_RANK": "1"},
        {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "there", "MASTER_PORT": "1"},
        {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"},
        {**SLURM, "SLURM_TASK_PID": "1"},
        {**SLURM, "SLURM_STEP_NUM_TASKS": "1"},
        {**TORCHRUN, "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
    ],
)
@pytest.mark.parametrize("devices", [1, 2])
def test_variables_of_other_processes_are_ignored_and_forgotten(devices: int, left_over: dict[str, str]) -> None:
    environment = dict(left_over)
    assert take_world(devices, environment) == World()
    assert not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "MASTER_PORT"} & environment.keys()


def test_torchrun_numbers_the_processes_that_it_starts() -> None:
    assert take_world(2, {**TORCHRUN}) == World(1, 2, 29500, attempt="0")
    assert take_world(2, {**TORCHRUN, "RANK": "0"}) == World(0, 2, 29500, serves=True, attempt="0")
    by_agent = {**TORCHRUN, "RANK": "0", "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "3"}
    assert take_world(2, by_agent) == World(0, 2, 29500, attempt="3")


def test_torchrun_numbers_processes_on_several_machines() -> None:
    fourth = {**TORCHRUN, "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "first"}
    world = take_world(2, fourth, nodes=2)
    assert world == World(3, 4, 29500, "first", attempt="0", nodes=2)
    assert (world.node, world.local_rank) == (1, 1)


def test_slurm_numbers_tasks_on_several_machines() -> None:
    third = {**SLURM, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "2"}
    third |= {"SLURM_LOCALID": "0", "SLURM_STEP_NODELIST": "node[07-08]"}
    world = take_world(2, dict(third), nodes=2)
    assert (world.rank, world.node, world.local_rank, world.host) == (2, 1, 0, "node07")
    with pytest.raises(UserError, match="numbered in a row"):
        take_world(2, {**third, "SLURM_LOCALID": "1"}, nodes=2)


@pytest.mark.parametrize(("devices", "nodes"), [(2, 1), (4, 1), (1, 4), (1, 2)])
def test_a_launcher_that_uses_other_machines_is_rejected(devices: int, nodes: int) -> None:
    started = {**TORCHRUN, "WORLD_SIZE": "4"}
    with pytest.raises(UserError, match=r"torchrun started 4 processes"):
        take_world(devices, dict(started), nodes=nodes)
    started = {**SLURM, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}
    with pytest.raises(UserError, match=r"Slurm started 4 processes"):
        take_world(devices, dict(started), nodes=nodes)


def test_a_run_on_several_machines_needs_a_launcher(tiny: Callable[..., RunConfig]) -> None:
    with pytest.raises(UserError, match=r"trainer.nodes=2: .* by torchrun or srun, with 3 processes on each"):
        train(plan(tiny("trainer.nodes=2", "trainer.devices=3", "trainer.accelerator=cpu")))
    with pytest.raises(UserError, match=r"trainer.nodes=2: such a run is started alone"):
        require_one_machine([plan(tiny("trainer.nodes=2"))])


def test_another_number_of_devices_is_another_run(tiny: Callable[..., RunConfig]) -> None:
    words = ("", "trainer.devices=2", "trainer.nodes=2", "trainer.sync_batchnorm=true")
    identities = {plan(tiny("trainer.accelerator=cpu", *filter(None, [word]))).identity for word in words}
    assert len(identities) == 4


def test_slurm_numbers_the_tasks_that_it_starts() -> None:
    world = take_world(2, {**SLURM})
    assert (world.rank, world.size, world.serves) == (1, 2, False)
    assert take_world(2, {**SLURM, "SLURM_PROCID": "0"}) == World(0, 2, world.port, serves=True)
    assert take_world(1, {**SLURM}) == World()  # each task is a run of its own


@pytest.mark.parametrize(
    ("devices", "variables", "message"),
    [
        (1, TORCHRUN, "trainer.devices=1: torchrun started 2 processes"),
        (3, TORCHRUN, "trainer.devices=3: torchrun started 2 processes"),
        (2, {**TORCHRUN, "WORLD_SIZE": "abc"}, "WORLD_SIZE=abc: "),
        (
            2,
            {**TORCHRUN, "LOCAL_WORLD_SIZE": "1"},
            "trainer.nodes=1 trainer.devices=2: torchrun started 2 ",
        ),
        (3, SLURM, "trainer.devices=3: Slurm started 2 processes"),
        (
            2,
            {**SLURM, "SLURM_STEP_NUM_NODES": "2"},
            "trainer.nodes=1 trainer.devices=2: Slurm started 2 ",
        ),
    ],
)
def test_a_launcher_that_starts_another_world_is_rejected(
    devices: int, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=f"^{message}[^\n]*$"):
        take_world(devices, dict(variables))


def test_a_run_needs_a_process_for_each_device(tiny: Callable[..., RunConfig]) -> None:
    job = plan(tiny("trainer.devices=2", "trainer.accelerator=cpu"))
    with pytest.raises(UserError, match=r"^trainer.devices=2: the run needs as many processes"):
        train(job)
    assert RunFolder(job.folder).record() is None


def test_a_process_that_does_not_come_is_named() -> None:
    with socket.create_server((LOCALHOST, 0)) as listener:
        world = World(0, 2, listener.getsockname()[1], serves=True, listener=os.dup(listener.fileno()))
    with pytest.raises(MeetingError, match=r"^1 of the 2 processes of this run came; rank 1 did not$"):
        world.meet("plan", "gloo", seconds=0.3)
    with socket.create_server((LOCALHOST, 0)) as listener:
        nobody = listener.getsockname()[1]
    with pytest.raises(MeetingError, match=r"^rank 1 of 2 finds no others at 127.0.0.1:\d+$"):
        World(1, 2, nobody).meet("plan", "gloo", seconds=0.3)


def two_worlds() -> list[World]:
    """Return the places of two processes of one run, of which the first keeps the store."""
    with socket.create_server((LOCALHOST, 0)) as server:
        port = server.getsockname()[1]
    return [World(rank, 2, port, serves=not rank) for rank in range(2)]


def test_processes_with_different_plans_are_not_connected() -> None:
    with socket.create_server((LOCALHOST, 0)) as listener:
        port = listener.getsockname()[1]
        first = World(0, 2, port, serves=True, listener=os.dup(listener.fileno()))
    with ThreadPoolExecutor() as pool:
        second = pool.submit(World(1, 2, port).meet, "run b", "gloo", 10)
        for plan_of in (lambda: first.meet("run a", "gloo", 10), second.result):
            with pytest.raises(MeetingError, match=r"different plans: run a on 2 devices; run b on 2 devices"):
                plan_of()
    assert not torch.distributed.is_initialized()


@pytest.mark.parametrize(("epochs", "differ"), [((3, 3), False), ((0, 3), True)])
def test_processes_that_see_other_checkpoints_are_stopped(epochs: tuple[int, int], differ: bool) -> None:
    worlds = two_worlds()
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(world.check_start, number, 20.0) for world, number in zip(worlds, epochs, strict=True)]
    errors = [start.exception() for start in starts]
    if differ:
        assert all(isinstance(error, MeetingError) for error in errors)
        assert "checkpoints of different epochs (0, 3)" in str(errors[0])
    else:
        assert errors == [None, None]


@pytest.mark.parametrize(("measured", "total"), [((1.5, 2.25), 3.75), ((1.5, None), None)])
def test_what_all_processes_measured_is_added_up(measured: tuple[float, float | None], total: float | None) -> None:
    worlds = two_worlds()
    with ThreadPoolExecutor(2) as pool:
        sums = list(pool.map(lambda world: world.total("energy", measured[world.rank], 20.0), worlds))
    assert sums == [total, total]
    assert World().total("energy", measured[1]) == measured[1]


def test_a_test_over_half_of_the_images_is_no_result(
    tiny: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a process that takes itself for one of two."""
    job = plan(tiny("recipe.epochs=1"))
    train(job)
    evaluation = settle(RunFolder(job.folder), "last", Composer(None), ())
    monkeypatch.setattr(datamodule, "placement_on", lambda hardware, world: Placement(torch.device("cpu"), world=2))
    with pytest.raises(ImageCountError, match=r"^\d+ test images were counted, and there are 360; "):
        evaluate_run(evaluation)
