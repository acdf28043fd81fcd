"""How busy cores are, and how threads wait."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench import cores
from attnbench.cores import choose_wait_policy, idle_cores, idle_seconds


def test_idle_time_is_the_fourth_and_fifth_counter_of_all_cores(own_folder: Path) -> None:
    (own_folder / "stat").write_text("cpu  10 20 30 4000 500 6 7 8 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n")
    assert idle_seconds(own_folder / "stat") == 4500 / os.sysconf("SC_CLK_TCK")
    assert idle_seconds(own_folder / "absent") is None


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not count idle cores")
def test_no_more_cores_are_idle_than_there_are() -> None:
    idle = idle_cores(0.1)
    assert idle is not None
    assert 0 <= idle <= (os.cpu_count() or 1) * 1.2  # the clock of the counters ticks every hundredth second


@pytest.mark.parametrize(("load", "policy"), [(0.5, None), (9.0, "passive")])
def test_threads_sleep_on_a_busy_machine(load: float, policy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    variables: dict[str, str] = {}
    choose_wait_policy(variables)
    assert variables.get("OMP_WAIT_POLICY") == policy
    for name in cores.WAIT_VARIABLES:
        variables = {name: "active"}
        choose_wait_policy(variables)
        assert variables == {name: "active"}


@pytest.mark.skipif(sys.platform != "linux", reason="another OpenMP")
@pytest.mark.parametrize("start", ["attnbench.cli.main", "attnbench.cli.worker"])
def test_the_policy_is_chosen_before_torch_is_imported(start: str) -> None:
    code = (
        f"import os, {start} as start; os.getloadavg = lambda: (99.0, 0, 0)\n"
        "try: start.main(['absent'])\n"
        "except Exception: pass\n"
        "import torch"
    )
    environment = {name: value for name, value in os.environ.items() if name not in cores.WAIT_VARIABLES}
    environment["OMP_DISPLAY_ENV"] = "true"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in shown.stderr
