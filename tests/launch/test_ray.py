"""launch=ray: its options, and a real Ray runtime on two CPUs: killed workers and drivers, nothing done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attnbench.errors import OptionError, UserError
from attnbench.launch.ray_engine import RayLauncher, actor_name
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.lock import read_owner
from tests.conftest import TINY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpus": -1.0}, "cpus=-1.0: must not be negative"),
        ({"gpus": 1.5}, "gpus=1.5: above 1 must be a whole number"),
        ({"resources": ["highmem"]}, "resources=highmem: must be written name=amount"),
        ({"retries": -1}, "retries=-1"),
    ],
)
def test_a_wrong_option_is_rejected(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        RayLauncher(**options)  # type: ignore[arg-type]


def test_a_run_reserves_what_each_of_its_devices_needs() -> None:
    launcher = RayLauncher(cpus=2.0, gpus=0.25, resources=["highmem=0.5"])
    assert launcher.needs(1) == {"num_cpus": 2.0, "num_gpus": 0.25, "resources": {"highmem": 0.5}}
    assert launcher.needs(2) == {"num_cpus": 4.0, "num_gpus": 0.5, "resources": {"highmem": 1.0}}


def test_the_runs_of_two_output_folders_have_two_actors() -> None:
    assert actor_name(Path("/a/runs/x/seed0")) == actor_name(Path("/a/runs/x/seed0"))
    assert actor_name(Path("/a/runs/x/seed0")) != actor_name(Path("/b/runs/x/seed0"))


def test_where_ray_is_missing_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'attnbench\[ray\]'"):
        RayLauncher().prepare()


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def begin(*words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "attnbench", "train", "-m", *TINY, "launch=ray", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def runs() -> list[RunFolder]:
    return find_runs(Path("outputs"))


def epochs_written(run: RunFolder) -> list[int]:
    """Return the epochs that a run's log shows: one that was trained twice is there twice."""
    lines = run.log_file.read_text().splitlines()
    return [int(line.split()[1].partition("/")[0]) for line in lines if line.startswith("epoch ")]


@pytest.mark.slow
def test_a_sweep_survives_a_killed_worker_and_a_killed_driver() -> None:
    pytest.importorskip("ray")
    words = ("seed=0,1", "recipe.epochs=30")
    driver = begin(*words)
    wait_for(lambda: len(runs()) == 2 and all(len(run.rows()) >= 2 for run in runs()))
    owner = read_owner(runs()[0].path)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)  # the actor starts it again
    seen = len(runs()[0].rows())
    wait_for(lambda: len(runs()[0].rows()) > seen)
    driver.kill()
    driver.communicate(timeout=60)
    wait_for(lambda: not any(run.state() == "running" for run in runs()))
    again = begin(*words)
    out, err = again.communicate(timeout=400)
    assert again.returncode == 0, err
    assert "2 runs:" in out
    for run in runs():
        assert run.finished()
        assert [row.epoch for row in run.rows()] == list(range(1, 31))
        written = epochs_written(run)
        assert len(written) <= 30 + 2  # at most the epoch that a kill cut off is repeated
        assert sorted(set(written)) == list(range(1, 31))


@pytest.fixture
def cluster() -> Iterator[str]:
    """The address of a cluster that is there before the command."""
    pytest.importorskip("ray")
    ray = str(Path(sys.executable).with_name("ray"))
    start = [ray, "start", "--head", "--num-cpus=2", "--port=0", "--include-dashboard=false"]
    subprocess.run([*start, "--disable-usage-stats"], check=True, capture_output=True)
    yield "auto"
    subprocess.run([ray, "stop", "--force"], check=False, capture_output=True)


@pytest.mark.slow
def test_runs_of_a_cluster_go_on_without_the_command_until_they_are_stopped(cluster: str) -> None:
    words = ("seed=0,1,2", "recipe.epochs=2000", f"launch.address={cluster}")
    driver = begin(*words)
    wait_for(lambda: any(run.rows() for run in runs()))
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "3 runs: 3 left to the cluster" in out, err
    attnbench = [sys.executable, "-m", "attnbench"]
    status = subprocess.run([*attnbench, "status", "--json"], check=True, capture_output=True, text=True)
    (sweep,) = json.loads(status.stdout)
    assert sorted(run["state"] for run in sweep["runs"]) == ["running", "running", "waiting"]
    again = begin(*words)
    time.sleep(5)
    stopped = subprocess.run([*attnbench, "stop", sweep["sweep"]], check=False, capture_output=True, text=True)
    assert stopped.returncode == 0, stopped.stderr
    assert "ray: cancelled 3 jobs" in stopped.stdout
    again.communicate(timeout=120)
    assert [run.state() for run in runs()][:2] == ["interrupted"] * 2
