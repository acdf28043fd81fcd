"""Variables of launchers never change a result; the processes that they start are checked before they begin."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.runs.evaluations import read_evaluations
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.record import FinishedRecord
from attnbench.runs.record_parts import Metrics
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.faults.processes import SHORT, Family, family

LEFT_OVER = (
    {"WORLD_SIZE": "2"},
    {"WORLD_SIZE": "abc", "RANK": "abc"},
    {"RANK": "1", "LOCAL_RANK": "1", "NODE_RANK": "1", "WORLD_SIZE": "4", "MASTER_ADDR": "x", "MASTER_PORT": "1"},
    {"SLURM_NTASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0", "SLURM_JOB_ID": "7"},
)


def metrics(record: FinishedRecord | None) -> Metrics:
    """Return all metrics but the time that an epoch took."""
    assert record is not None
    return {name: value for name, value in record.metrics.items() if name != "train/seconds"}


def finished(run: RunFolder) -> FinishedRecord:
    record = run.record()
    assert isinstance(record, FinishedRecord)
    return record


@pytest.mark.parametrize("variables", LEFT_OVER[1:3])
def test_left_over_variables_change_no_metric(
    variables: dict[str, str], tiny: Callable[..., RunConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = plan(tiny("recipe.epochs=1", "output=undisturbed"))
    expected = train(job)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["train", *TINY, "recipe.epochs=1"]) == 0
    (run,) = find_runs(Path("outputs"))
    assert metrics(finished(run)) == metrics(expected)
    assert main(["evaluate", str(run.path)]) == 0
    (entry,) = read_evaluations(run).values()
    assert entry.metrics["test/top1_accuracy"] == finished(run).metrics["test/top1_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("variables", LEFT_OVER)
@pytest.mark.parametrize("devices", [1, 2])
def test_left_over_variables_change_no_record(variables: dict[str, str], devices: int) -> None:
    words = ("train", *SHORT, f"trainer.devices={devices}", "trainer.accelerator=cpu")
    for output, given in (("plain", {}), ("disturbed", variables)):
        with family(*words, f"output={output}", variables=given) as run:
            assert run.end(120) == 0, run.output()
    (plain,), (disturbed,) = find_runs(Path("plain")), find_runs(Path("disturbed"))
    assert metrics(finished(disturbed)) == metrics(finished(plain))
    assert finished(disturbed).images == finished(plain).images


@pytest.mark.slow
@pytest.mark.parametrize(("started", "devices"), [(2, 2), (3, 2), (2, 1)])
def test_torchrun_starts_a_run_or_is_rejected(started: int, devices: int) -> None:
    words = ("train", *SHORT, f"trainer.devices={devices}", "trainer.accelerator=cpu")
    launched = ["-m", "torch.distributed.run", f"--nproc-per-node={started}", "-m", "attnbench", *words]
    run = Family([sys.executable, *launched])
    assert (run.end(180) == 0) == (started == devices), run.output()
    if started == devices:
        assert finished(find_runs(Path("outputs"))[0]).resolved.devices == devices
    else:
        assert f"trainer.devices={devices}: torchrun started {started} processes" in run.output()
        assert not find_runs(Path("outputs"))


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "devices"), [(2, 2), (3, 2), (1, 2), (2, 1)])
def test_slurm_starts_a_run_or_is_rejected(tasks: int, devices: int) -> None:
    words = ("train", *SHORT, f"trainer.devices={devices}", "trainer.accelerator=cpu")
    run = f"export SLURM_TASK_PID=$$; exec {sys.executable} -m attnbench {' '.join(words)}"
    step = {"SLURM_STEP_NUM_TASKS": str(tasks), "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_ID": str(os.getpid())}
    ranks = [
        Family(["sh", "-c", run], {**step, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)})
        for rank in range(tasks)
    ]
    statuses = [rank.end(180) for rank in ranks]
    output = "".join(rank.output() for rank in ranks)
    if tasks > 1 and devices > 1 and tasks != devices:
        assert set(statuses) == {2}
        assert f"trainer.devices={devices}: Slurm started {tasks} processes" in output
        return
    assert 0 in statuses, output
    assert "Traceback" not in output
    assert finished(find_runs(Path("outputs"))[0]).resolved.devices == devices
