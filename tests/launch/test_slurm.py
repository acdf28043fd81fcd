"""launch=slurm: its options, what the queue says, and a whole cluster on this machine where Slurm is installed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attnbench.errors import OptionError, UserError
from attnbench.launch import slurm_queue, slurm_task
from attnbench.launch.slurm import SlurmLauncher
from attnbench.launch.slurm_queue import SlurmQueue, last_error
from attnbench.launch.slurm_task import MOST_FRUITLESS, SlurmTask
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.sweeps import find_sweeps
from tests.conftest import TINY
from tests.docs.pages import ROOT

QUEUE = "7_0|RUNNING|n1\n7_1|PENDING|(Resources)\n7_2|COMPLETED|n2\n7_3|CANCELLED|\n8|CONFIGURING|n3\n"
PATHS = f"/usr/sbin:/opt/slurm/bin:{os.environ['PATH']}"
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")
installed = pytest.mark.skipif(
    any(shutil.which(program, path=PATHS) is None for program in PROGRAMS) or os.geteuid() != 0,
    reason="needs Slurm's and munge's daemons, and root to start them",
)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"time": 0}, "time=0: must be at least 1 minute"),
        ({"partition": "two words"}, "partition=two words: must be one word"),
        ({"cpus": 0}, "cpus=0: must be at least 1"),
        ({"jobs_per_task": 0}, "jobs_per_task=0"),
        ({"options": ["exclude=n1"]}, "options=exclude=n1: must be written --name=value"),
        ({"options": ["--array=0-3"]}, "options=--array=0-3: attnbench sets it itself"),
        ({"options": ["--mem=4G"]}, r"options=--mem=4G: use launch\.memory"),
        ({"options": ["--x=a\n#SBATCH --uid=0"]}, "must be written --name=value"),
    ],
)
def test_a_wrong_option_is_rejected(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        SlurmLauncher(**options)  # type: ignore[arg-type]


def test_options_reach_sbatch_under_its_names() -> None:
    launcher = SlurmLauncher(partition="gpu", gres="gpu:2", memory="16G", options=["--nice=100", "--exclusive"])
    assert (launcher.parameters["partition"], launcher.parameters["gres"]) == ("gpu", "gpu:2")
    more = {"requeue": True, "mem": "16G", "nice": "100", "exclusive": True}
    assert launcher.parameters["additional_parameters"] == more


def test_where_slurm_is_missing_one_line_says_so(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", str(own_folder))
    with pytest.raises(UserError, match="launch=slurm: sbatch is not on this machine"):
        SlurmLauncher().prepare()
    with pytest.raises(UserError, match="squeue: is not on this machine"):
        SlurmQueue().open_tasks()


def test_where_submitit_is_missing_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UserError, match=r"pip install 'attnbench\[slurm\]'"):
        SlurmLauncher().prepare()


def test_jobs_that_ended_are_not_open_and_waiting_ones_say_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_queue, "ask", lambda command: QUEUE)
    assert SlurmQueue().open_tasks() == {"7_0": "", "7_1": "Resources", "8": "n3"}


ACCOUNTS = "7_0|COMPLETED\n7_1|CANCELLED by 1000\n7_2|OUT_OF_MEMORY\n7_3|RUNNING\n9|NODE_FAIL\n"
"""What sacct prints with --parsable2 --noheader --allocations --format=JobID,State."""


def test_accounts_say_how_jobs_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(slurm_queue, "AT_ONCE", 3)

    def answer(command: tuple[str, ...]) -> str:
        asked.append(command)
        return ACCOUNTS

    monkeypatch.setattr(slurm_queue, "ask", answer)
    tasks = ["7_0", "7_1", "7_2", "7_3", "9"]
    ended = {"7_0": "COMPLETED", "7_1": "CANCELLED", "7_2": "OUT_OF_MEMORY", "9": "NODE_FAIL"}
    assert SlurmQueue().endings(tasks) == ended
    assert [command[-1] for command in asked] == ["--jobs=7_0,7_1,7_2", "--jobs=7_3,9"]


def test_without_accounts_nothing_is_known_of_endings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: tuple[str, ...]) -> str:
        raise UserError("sacct: Slurm accounting storage is disabled")

    monkeypatch.setattr(slurm_queue, "ask", refuse)
    assert SlurmQueue().endings(["7_0"]) == {}


def test_the_error_of_a_command_is_its_last_line() -> None:
    text = "sbatch: warning: x\nsbatch: error: invalid partition specified: nosuch\n\n"
    assert last_error(text) == "invalid partition specified: nosuch"


def test_a_task_gives_up_after_restarts_without_a_finished_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setattr(slurm_task, "_epochs", lambda jobs: 3)
    task = SlurmTask([])
    task.epochs = 2
    assert task.checkpoint().function.fruitless == 0
    for restart in range(1, MOST_FRUITLESS + 2):
        task.epochs = 3
        again = task.checkpoint()
        if restart > MOST_FRUITLESS:
            assert again is None
            return
        task = again.function
        assert task.fruitless == restart


@pytest.mark.slow
def test_submitits_local_executor_stops_and_resumes_a_task() -> None:
    submitit = pytest.importorskip("submitit")
    words = [sys.executable, "-m", "attnbench", "train", *TINY, "recipe.epochs=40", "launch=dry"]
    job_file = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()[-1]
    run = RunFolder(Path(job_file).parent)
    executor = submitit.LocalExecutor("submitit")
    executor.update_parameters(timeout_min=60)
    job = executor.submit(SlurmTask([job_file]))
    wait_for(lambda: len(run.rows()) >= 2)
    controller = job._process.pid
    (task,) = Path(f"/proc/{controller}/task/{controller}/children").read_text().split()
    os.kill(int(task), signal.SIGUSR1)
    wait_for(run.finished)
    assert [row.epoch for row in run.rows()] == list(range(1, 41))
    assert "this job is preempted" in job.paths.stdout.read_text()


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands reach a cluster of two nodes on this machine."""
    folder, script = tmp_path_factory.mktemp("slurm"), str(ROOT / "scripts" / "start_slurm.sh")
    started = subprocess.run([script, str(folder)], check=True, capture_output=True, text=True)
    environment = {**os.environ, "PATH": PATHS, "SLURM_CONF": started.stdout.strip().partition("=")[2]}
    yield environment
    subprocess.run(["scancel", "--user=root"], check=False, env=environment)
    time.sleep(2)
    subprocess.run([script, "--stop", str(folder)], check=True)


class Attnbench:
    """The command line, in an environment."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def slurm(self, *words: str) -> str:
        """Run one of Slurm's commands."""
        return subprocess.run(words, check=True, capture_output=True, text=True, env=self.environment).stdout

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb to its end."""
        command = [sys.executable, "-m", "attnbench", *words]
        return subprocess.run(command, check=False, capture_output=True, text=True, env=self.environment)

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Begin a sweep on the cluster, and wait until it is in the queue."""
        command = [sys.executable, "-m", "attnbench", "train", "-m", *TINY, "launch=slurm", *words]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment
        )
        wait_for(lambda: process.poll() is not None or self.tasks())
        return process

    def tasks(self) -> list[str]:
        """Return the jobs of the queue that the sweeps here name."""
        records = [record for sweep in find_sweeps(Path("outputs")) if (record := sweep.record()) is not None]
        return [run.task for record in records for run in record.runs if run.task]

    def states(self) -> list[str]:
        """Return the states of all runs, as `attnbench status` shows them."""
        sweeps = json.loads(self.run("status", "--json").stdout)
        return [run["state"] for sweep in sweeps for run in sweep["runs"]]


@pytest.fixture
def attnbench(cluster: dict[str, str]) -> Attnbench:
    return Attnbench(cluster)


@installed
@pytest.mark.slow
def test_a_sweep_is_one_array_that_goes_on_without_its_command(attnbench: Attnbench) -> None:
    words = ("seed=0,1,2", "recipe.epochs=20", "launch.jobs_per_task=2")
    process = attnbench.begin(*words)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "3 runs: 3 left to the cluster" in out
    assert "3 runs go on; attnbench status s" in err
    first, second, third = attnbench.tasks()
    assert first == second == third.replace("_1", "_0")  # two runs in one job of the array, one in the other
    assert set(attnbench.states()) <= {"running", "waiting"}
    again = attnbench.run("train", "-m", *TINY, "launch=slurm", *words)
    assert again.returncode == 0, again.stderr
    assert attnbench.tasks() == [first, second, third]  # nothing was submitted twice
    assert [run.finished() for run in find_runs(Path("outputs"))] == [True] * 3
    assert all("epoch 20/20" in run.log_file.read_text() for run in find_runs(Path("outputs")))


@installed
@pytest.mark.slow
def test_a_job_that_makes_room_for_another_is_queued_again_and_resumes(attnbench: Attnbench) -> None:
    process = attnbench.begin("seed=0", "recipe.epochs=120")
    (run,) = find_runs(Path("outputs"))
    wait_for(lambda: len(run.rows()) >= 2)
    urgent = attnbench.slurm("sbatch", "--parsable", "-p", "urgent", "-N2", "--exclusive", "--wrap", "sleep 8").strip()
    (task,) = attnbench.tasks()
    wait_for(lambda: attnbench.slurm("squeue", "-h", "-j", task.partition("_")[0], "-o", "%T").strip() == "PENDING")
    assert run.state() == "interrupted"
    assert attnbench.states() == ["waiting"]
    wait_for(lambda: not attnbench.slurm("squeue", "-h", "-o", "%i", "-t", "R,PD", "-p", "urgent").strip())
    assert urgent
    attnbench.slurm("scontrol", "update", f"jobid={task}", "starttime=now")  # else Slurm waits for two minutes
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert [row.epoch for row in run.rows()] == list(range(1, 121))


@installed
@pytest.mark.slow
def test_stop_cancels_and_the_same_command_resumes(attnbench: Attnbench) -> None:
    process = attnbench.begin("seed=0,1", "recipe.epochs=300")
    wait_for(lambda: find_runs(Path("outputs")) and find_runs(Path("outputs"))[0].rows())
    stopped = attnbench.run("stop")
    assert "slurm: cancelled 2 jobs" in stopped.stdout
    process.communicate(timeout=60)
    wait_for(lambda: "running" not in attnbench.states())
    run = find_runs(Path("outputs"))[0]
    done = len(run.rows())
    assert run.state() == "interrupted"
    process = attnbench.begin("seed=0,1", "recipe.epochs=300")
    wait_for(lambda: len(run.rows()) > done)
    assert [row.epoch for row in run.rows()] == list(range(1, len(run.rows()) + 1))
    attnbench.run("stop")
    process.communicate(timeout=60)


@installed
@pytest.mark.skipif(
    any(shutil.which(program, path=PATHS) is None for program in ("slurmdbd", "mariadbd")), reason="needs slurmdbd"
)
@pytest.mark.slow
def test_accounts_say_how_a_killed_job_ended(attnbench: Attnbench) -> None:
    process = attnbench.begin("seed=0", "recipe.epochs=300")
    (run,) = find_runs(Path("outputs"))
    wait_for(run.rows)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    (task,) = attnbench.tasks()
    subprocess.run(["pkill", "-KILL", "-f", f"submitit.core._submit {Path.cwd()}"], check=True)
    wait_for(lambda: attnbench.states() == ["failed"], 100)
    (sweep,) = json.loads(attnbench.run("status", "--json").stdout)
    assert sweep["runs"][0]["reason"] == f"the cluster's job {task}: failed"


@installed
@pytest.mark.slow
def test_runs_are_explained_on_the_cluster(attnbench: Attnbench) -> None:
    pytest.importorskip("pytorch_grad_cam")
    assert attnbench.run("train", *TINY, "recipe.epochs=1").returncode == 0
    words = ("outputs/runs/*", "--images", "2", "launch=slurm")
    explained = attnbench.run("explain", *words)
    assert explained.returncode == 0, explained.stderr
    assert "seed=0: running" in explained.stdout and "gallery: outputs/explanations/" in explained.stdout
    assert ": found" in attnbench.run("explain", *words).stdout
    assert attnbench.states() == ["finished", "finished"]


@installed
@pytest.mark.slow
def test_without_a_node_runs_wait_and_say_for_what(attnbench: Attnbench) -> None:
    attnbench.slurm("scontrol", "update", "nodename=n1,n2", "state=drain", "reason=test")
    process = attnbench.begin("seed=0", "recipe.epochs=1")
    try:
        (sweep,) = json.loads(attnbench.run("status", "--json").stdout)
        (found,) = sweep["runs"]
        assert found["state"] == "waiting"
        assert "DOWN" in found["reason"] or "UnavailableNodes" in found["reason"] or found["reason"] == "its turn"
    finally:
        attnbench.slurm("scontrol", "update", "nodename=n1,n2", "state=resume")
    process.communicate(timeout=200)
    assert process.returncode == 0


@installed
@pytest.mark.slow
def test_what_slurm_rejects_is_one_line(attnbench: Attnbench) -> None:
    rejected = attnbench.run("train", *TINY, "launch=slurm", "launch.partition=nosuch")
    assert rejected.returncode == 2
    assert "launch=slurm: sbatch: " in rejected.stderr
    assert "nosuch" in rejected.stderr or "invalid partition" in rejected.stderr
    assert "Traceback" not in rejected.stderr
