"""What is shown of sweeps and runs, from their files alone."""

import json
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.launch import status as module
from attnbench.launch.status import look, status_of_sweep
from attnbench.runs.files import write_json
from attnbench.runs.folder import Job
from attnbench.runs.lock import Lock
from attnbench.runs.owner import process_started
from attnbench.runs.sweeps import SweepFolder, sweep_of
from tests.runs.samples import record_json

Capture = pytest.CaptureFixture[str]
ROW = {"train/loss": 1.0, "train/top1_accuracy": 0.5, "train/seconds": 10.0, "images_per_second": 100.0, "lr": 0.1}


def run_of(seed: int, status: str | None = None, rows: int = 0, log: str = "", **changes: object) -> Job:
    """Write the files of a run as it was left behind."""
    folder = Path("outputs/runs/digits-0123456789").absolute() / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    if status is not None:
        write_json(folder / "record.json", record_json(status, seed=seed, **changes))
    lines = [json.dumps({"epoch": epoch, "images": 10 * epoch, **ROW}) for epoch in range(1, rows + 1)]
    (folder / "metrics.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (folder / "log.txt").write_text(log)
    return Job(RunConfig({"recipe": {"epochs": 4}, "seed": seed}, {}, {}), "0123456789", folder)


def own(folder: Path, **progress: object) -> None:
    """Make this process the owner of a run."""
    mark = {"host": socket.gethostname(), "pid": os.getpid(), "started": process_started(os.getpid())}
    write_json(folder / "lock.json", {**mark, "heartbeat": time.time(), "progress": progress})


def begun(*jobs: Job, engine: str = "local") -> SweepFolder:
    sweep = sweep_of(jobs)
    sweep.begin(jobs, [f"seed={job.seed}" for job in jobs], engine)
    return sweep


def test_a_finished_run() -> None:
    found = look(run_of(0, "finished").folder)
    assert (found.state, found.epochs, found.planned, found.images_per_second) == ("finished", 4, 4, 512.3)


def test_a_running_run_says_how_far_it_is_and_what_is_left() -> None:
    job = run_of(0, "running", rows=1)
    own(job.folder, epoch=1, images_per_second=99.0)
    found = look(job.folder)
    assert (found.state, found.epochs, found.planned, found.images_per_second) == ("running", 1, 4, 99.0)
    assert found.seconds_left == pytest.approx(30)


def test_a_run_whose_process_died_is_interrupted() -> None:
    found = look(run_of(0, "running", rows=3).folder)
    assert (found.state, found.epochs, found.seconds_left) == ("interrupted", 3, None)


@pytest.mark.parametrize(
    ("error", "log", "reason"),
    [("ValueError: no", "starting\n", "ValueError: no"), ("", "starting\nkilled: no memory\n\n", "killed: no memory")],
)
def test_a_failed_run_says_why(error: str, log: str, reason: str) -> None:
    found = look(run_of(0, "failed", log=log, error=error).folder)
    assert (found.state, found.reason) == ("failed", reason)


@pytest.mark.parametrize("content", ["{", "[]", "", '{"status": "unheard of"}'])
def test_a_damaged_record_is_a_state_like_others(content: str) -> None:
    job = run_of(0)
    (job.folder / "record.json").write_text(content)
    assert look(job.folder).state == "damaged"


def test_odd_progress_in_a_lock_is_left_out() -> None:
    job = run_of(0, "running")
    own(job.folder, epoch="one", images_per_second=[1])
    assert look(job.folder).images_per_second is None


def test_what_a_living_scheduler_has_not_done_yet_waits() -> None:
    jobs = [run_of(0), run_of(1, "running", rows=1), run_of(2, "failed", error="old")]
    sweep = begun(*jobs)
    assert [run.state for run in status_of_sweep(sweep).runs] == ["new", "interrupted", "failed"]
    with Lock(sweep.path):  # the failure is older than the sweep's beginning: that run is done again
        assert [run.state for run in status_of_sweep(sweep).runs] == ["waiting", "waiting", "waiting"]
        run_of(2, "failed", error="new", written="2099-01-01T00:00:00+00:00")
        assert [run.state for run in status_of_sweep(sweep).runs] == ["waiting", "waiting", "failed"]


def test_the_time_left_counts_runs_that_wait() -> None:
    running, waits = run_of(0, "running", rows=2), run_of(1)
    own(running.folder, epoch=2)
    sweep = begun(running, waits)
    with Lock(sweep.path):
        assert status_of_sweep(sweep).seconds_left == pytest.approx(2 * 10 + 4 * 10)
    assert status_of_sweep(sweep).seconds_left == pytest.approx(2 * 10)


class KnownQueue:
    """A queue with known jobs."""

    def __init__(self, tasks: Mapping[str, str] | None, ended: Mapping[str, str]) -> None:
        self.tasks, self.ended = tasks, ended

    def open_tasks(self) -> Mapping[str, str]:
        if self.tasks is None:
            raise UserError("squeue: is not on this machine")
        return self.tasks

    def endings(self, tasks: Iterable[str]) -> Mapping[str, str]:
        return {task: self.ended[task] for task in tasks if task in self.ended}

    def cancel(self, tasks: Iterable[str]) -> None:
        raise AssertionError


def queued(
    monkeypatch: pytest.MonkeyPatch, tasks: Mapping[str, str] | None, *jobs: Job, ended: Mapping[str, str] | None = None
) -> SweepFolder:
    sweep = begun(*jobs, engine="slurm")
    sweep.note_tasks({job.folder: f"7_{job.seed}" for job in jobs})
    monkeypatch.setattr(module, "queue_of", lambda record: KnownQueue(tasks, ended or {}))
    return sweep


def test_a_queue_says_what_waits_and_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [run_of(0), run_of(1), run_of(2, "interrupted", rows=1), run_of(3, "finished")]
    sweep = queued(monkeypatch, {"7_0": "", "7_1": "Resources"}, *jobs)
    found = [(run.state, run.reason) for run in status_of_sweep(sweep).runs]
    assert found == [("running", ""), ("waiting", "Resources"), ("interrupted", ""), ("finished", "")]


def test_the_accounts_of_a_cluster_say_how_a_job_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [run_of(0), run_of(1, "running", rows=1), run_of(2, "interrupted", rows=1), run_of(3, "failed", error="no")]
    ended = {"7_0": "NODE_FAIL", "7_1": "OUT_OF_MEMORY", "7_2": "CANCELLED", "7_3": "FAILED"}
    sweep = queued(monkeypatch, {}, *jobs, ended=ended)
    assert [(run.state, run.reason) for run in status_of_sweep(sweep).runs] == [
        ("failed", "the cluster's job 7_0: node_fail"),
        ("failed", "the cluster's job 7_1: out_of_memory"),
        ("interrupted", ""),
        ("failed", "no"),
    ]
    with Lock(sweep.path):  # a scheduler will come to them
        assert [run.state for run in status_of_sweep(sweep).runs] == ["waiting"] * 4


def test_a_list_of_runs_says_the_same(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    queued(
        monkeypatch, {"7_0": "", "7_1": "Resources", "7_2": "Priority"}, run_of(0), run_of(1), run_of(2, "interrupted")
    )
    run_of(3)
    assert main(["list", "runs"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if "/seed" in line]
    assert [next(word for word in row if word in module.WORDS) for row in rows] == [
        "running",
        "waiting",
        "waiting",
        "new",
    ]


def test_where_the_queue_cannot_be_asked_the_runs_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = queued(monkeypatch, None, run_of(0), run_of(1, "finished"))
    found = [(run.state, run.reason) for run in status_of_sweep(sweep).runs]
    assert found == [("new", "squeue: is not on this machine"), ("finished", "")]


def test_the_table_shows_first_what_needs_attention(capsys: Capture) -> None:
    begun(run_of(0, "finished"), run_of(1, "failed", error="ValueError: no"))
    run_of(2, "interrupted", rows=1)
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert "(local): 1 failed, 1 done" in out
    assert "single runs: 1 interrupted" in out
    assert out.index("ValueError: no") < out.index("digits-0123456789/seed2") < out.rindex("seed=0")


@pytest.mark.parametrize("words", [[], ["--watch"]])
def test_json_and_watch_end_by_themselves_when_nothing_is_under_way(words: list[str], capsys: Capture) -> None:
    sweep = begun(run_of(0, "finished"), run_of(1, "diverged", error="in epoch 1"))
    assert main(["status", sweep.id[:5], *(words or ["--json"])]) == 0
    out = capsys.readouterr().out
    if words:
        assert out == f"sweep {sweep.id} (local): 1 diverged, 1 done\n"
        return
    (content,) = json.loads(out)
    assert content["counts"] == {"diverged": 1, "finished": 1}
    assert [run["folder"] for run in content["runs"]] == [f"outputs/runs/digits-0123456789/seed{k}" for k in (0, 1)]


def test_single_runs_are_named_as_for_other_verbs(capsys: Capture) -> None:
    run_of(0, "finished")
    run_of(1, "interrupted", rows=2)
    assert main(["status", "0123/seed1"]) == 0
    assert "2/4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no runs under outputs/runs"),
        (["s12345678"], "no such run here"),
        (["seed=1"], "takes no overrides but output=DIR"),
        (["--wach"], "did you mean --watch?"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], message: str, capsys: Capture) -> None:
    assert main(["status", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_sweep_is_skipped_and_its_runs_are_shown(capsys: Capture) -> None:
    begun(run_of(0, "finished")).file.write_text("{")
    assert main(["status"]) == 0
    out, err = capsys.readouterr()
    assert "single runs: 1 done" in out
    assert "damaged: it is no JSON" in err
