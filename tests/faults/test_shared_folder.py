"""Two machines that see one folder: separate process numbers and host names, with and without file locks."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attnbench.runs.folder import find_runs
from attnbench.runs.owner import read_owner
from tests.faults.processes import SHORT, Family, wait_until

SPACES = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "--uts"]
WITHOUT_LOCKS = """
import errno, fcntl

def refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")

fcntl.flock = refuse
"""


def can_unshare() -> bool:
    return shutil.which("unshare") is not None and not subprocess.run([*SPACES, "true"], check=False).returncode


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_unshare(), reason="needs the right to make namespaces")]


@pytest.fixture(params=[True, False], ids=["flock", "no flock"])
def variables(request: pytest.FixtureRequest, own_folder: Path) -> dict[str, str]:
    """The environment of both machines."""
    if request.param:
        return {}
    (own_folder / "hooks").mkdir()
    (own_folder / "hooks" / "sitecustomize.py").write_text(WITHOUT_LOCKS)
    root = Path(__file__).parents[2]
    return {"PYTHONPATH": f"{own_folder / 'hooks'}:{root}"}


def machine(name: str, variables: dict[str, str], *words: str) -> Family:
    """Start a sweep of four runs on another machine."""
    sweep = f"{sys.executable} -m attnbench train -m {' '.join((*SHORT, *words))} seed=0,1,2,3 sweep.jobs=1"
    return Family([*SPACES, "sh", "-c", f"hostname {name} && exec {sweep}"], variables)


def trained(output: str) -> int:
    """Return how many runs a sweep trained itself."""
    found = re.search(r"(\d+) trained", output)
    return int(found[1]) if found else 0


def test_no_run_is_trained_twice(variables: dict[str, str]) -> None:
    words = ("recipe.epochs=3",)
    machines = [machine(name, variables, *words) for name in ("first", "second")]
    assert [each.end(600) for each in machines] == [0, 0], [each.output() for each in machines]
    outputs = [each.output() for each in machines]
    assert sum(map(trained, outputs)) == 4, outputs
    runs = find_runs(Path("outputs"))
    assert [run.state() for run in runs] == ["finished"] * 4
    hosts = {record.environment.host for run in runs if (record := run.record()) is not None}
    assert hosts <= {"first", "second"}


def test_a_machine_that_is_lost_is_replaced(variables: dict[str, str]) -> None:
    """The second machine sees no heartbeat any more, whatever the numbers of its own processes are."""
    words = ("recipe.epochs=40",)
    first = machine("first", variables, *words)
    run = Path("outputs/runs")
    wait_until(lambda: any(path.stat().st_size for path in run.glob("*/seed0/metrics.jsonl")), 300, first.describe)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    (folder,) = run.glob("*/seed0")
    owner = read_owner(folder)
    assert owner is not None and owner.host == "first"
    began = time.monotonic()
    second = machine("second", variables, *words)
    assert second.end(900) == 0, second.output()
    assert time.monotonic() - began > 5  # it made sure
    assert trained(second.output()) == 4
    assert [found.state() for found in find_runs(Path("outputs"))] == ["finished"] * 4


def test_a_sweep_is_stopped_from_another_machine(variables: dict[str, str]) -> None:
    first = machine("first", variables, "recipe.epochs=500")
    run = Path("outputs/runs")
    wait_until(lambda: any(path.stat().st_size for path in run.glob("*/seed0/metrics.jsonl")), 300, first.describe)
    stopped = subprocess.run([sys.executable, "-m", "attnbench", "stop"], check=False, capture_output=True, text=True)
    assert stopped.returncode == 0, stopped.stderr
    assert re.search(r"the scheduler of s\w+, process \d+ on first: stopped", stopped.stdout)
    assert first.end(60) == 130, first.output()
    (interrupted,) = find_runs(Path("outputs"))
    assert interrupted.state() == "interrupted" and interrupted.rows()
    assert not list(Path("outputs").glob("**/lock.json"))
