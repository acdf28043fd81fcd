"""Two processes on one run: every step reduces its gradients, and metrics are those of all images."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from attnbench.build import build_model
from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.predictions import read_predictions
from attnbench.training import distributed
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


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (False, 0, 2, True)),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2"}, (True, 1, 2, False)),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1", "WORLD_SIZE": "4"}, (True, 2, 4, False)),
        ({"LOCAL_RANK": "1", "GROUP_RANK": "1", "RANK": "3", "WORLD_SIZE": "4"}, (True, 3, 4, False)),
        ({"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "2"}, (True, 0, 2, True)),
    ],
)
def test_rank_and_world_size_are_read_from_what_the_launcher_set(
    environment: dict[str, str], expected: tuple[bool, int, int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = (
        distributed.launched(),
        distributed.rank(2),
        distributed.world_size(2),
        distributed.is_first(2),
    )
    assert found == expected
