"""How many jobs run at a time on this machine."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from attnbench.config.compose import compose
from attnbench.config.diff import differences
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.launch import local
from attnbench.launch.launcher import LOCAL, launcher_of
from attnbench.launch.local import LocalLauncher
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.identity import identity
from attnbench.runs.sweeps import SweepFolder
from tests.runs.samples import RESOLVED, make_record

GIB = 1024**3


def jobs(count: int, wanted: str | int = "auto", accelerator: str = "auto", devices: int = 1) -> list[Job]:
    values = {"sweep": {"jobs": wanted}, "trainer": {"accelerator": accelerator, "devices": devices}}
    return [Job(RunConfig(values, {}, {}), "x", Path(f"runs/kind{number}/seed0")) for number in range(count)]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 16 cores and two GPUs of 10 GiB."""
    monkeypatch.setattr(local, "gpu_count", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(total_memory=10 * GIB))


def measured(job: Job, gibibytes: float, accelerator: str = "gpu", seed: int = 5) -> None:
    folder = job.folder.parent / f"seed{seed}"
    folder.mkdir(parents=True)
    resolved = {**RESOLVED, "accelerator": accelerator}
    RunFolder(folder).write_record(make_record(resolved=resolved, peak_memory_bytes=int(gibibytes * GIB)))


def test_the_user_decides() -> None:
    assert LocalLauncher().slots(jobs(9, 3)) == 3
    with pytest.raises(UserError, match=r"sweep\.jobs=0: must be at least 1"):
        LocalLauncher().slots(jobs(9, 0))


def test_without_a_gpu_each_core_has_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "gpu_count", lambda: 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(local, "_jobs_in_memory", lambda: 3)
    assert [LocalLauncher().slots(jobs(count)) for count in (1, 9)] == [1, 3]
    assert LocalLauncher(2).slots(jobs(9)) == 2


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_has_one_job_as_long_as_its_memory_is_not_known() -> None:
    several = jobs(9)
    assert LocalLauncher().slots(several) == 2
    measured(several[0], 1)
    assert LocalLauncher().slots(several) == 2
    assert LocalLauncher(3).slots(several) == 6


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_has_as_many_jobs_as_the_largest_leaves_room_for() -> None:
    small, large = several = jobs(2)
    measured(small, 0.4)
    measured(large, 1.6, seed=5)
    measured(large, 2.4, seed=6)
    assert LocalLauncher().automatic_slots(several * 9) == 2 * 3  # 9 GiB for jobs of 3
    assert LocalLauncher().automatic_slots([small] * 99) == 2 * 8  # of the cores
    assert LocalLauncher().automatic_slots(several) == 2


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(("wanted", "at_a_time"), [("auto", 1), (1, 1), (3, 3)])
def test_jobs_on_two_gpus_get_both(wanted: str | int, at_a_time: int) -> None:
    both = jobs(4, wanted, devices=2)
    assert LocalLauncher().slots(both) == at_a_time
    engine = LocalLauncher().engine(both, at_a_time, SweepFolder(Path("outputs/sweeps/s0")))
    assert engine.slots == 2 * at_a_time
    assert engine.environment(range(2))["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert LocalLauncher(2).automatic_slots(both) == 2


@pytest.mark.usefixtures("two_gpus")
def test_memory_that_was_measured_on_a_cpu_says_nothing() -> None:
    measured((job := jobs(1)[0]), 0.5, "cpu")
    assert LocalLauncher().automatic_slots([job] * 9) == 2


@pytest.mark.usefixtures("two_gpus")
def test_jobs_that_compute_on_the_cpu_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_jobs_in_memory", lambda: 12)
    on_cpu = jobs(20, accelerator="cpu")
    assert LocalLauncher().slots(on_cpu) == 12
    assert LocalLauncher().slots([*on_cpu, *jobs(1)]) == 2
    assert LocalLauncher().engine(on_cpu, 12, SweepFolder(Path("outputs/sweeps/s0"))).gpus == 0


@pytest.mark.parametrize("words", ["launch=slurm", "launch=ray", "launch=dry", "launch.jobs_per_device=3"])
def test_where_a_run_is_done_is_no_part_of_what_it_is(words: str) -> None:
    here, there = compose(["data=digits"]), compose(["data=digits", words])
    assert identity(here, "x") == identity(there, "x")
    assert differences([here, there]) == [{}, {}]


def test_a_configuration_without_the_group_is_launched_here() -> None:
    launcher = launcher_of([RunConfig({}, {}, {}), RunConfig({"launch": LOCAL}, {}, {})])
    assert isinstance(launcher, LocalLauncher)
