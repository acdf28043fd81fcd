"""The scheduler with processes that are real but do little."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from attnbench.config.validate import RunConfig
from attnbench.launch import scheduler
from attnbench.launch.processes import LocalEngine, LocalProcess
from attnbench.launch.scheduler import Scheduler, Task
from attnbench.runs.files import write_json
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import process_started
from tests.runs.samples import make_record, record_json

WORKER = f"""
import sys, time
from pathlib import Path
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.lock import Lock
from attnbench.runs.record import RunRecord
finished, interrupted = {record_json()}, {record_json("interrupted")}
job = Job.load(Path(sys.argv[1])); run = RunFolder(job.folder); seed = job.seed
try:
    with Lock(run.path):
        with open(run.path.parent / "log", "a") as log: log.write(f"start {{seed}} {{time.monotonic()}}\\n")
        if seed == 7: time.sleep(60)
        if seed == 8: print("about to fail"); sys.exit("seed 8 fails")
        if seed == 6: run.write_record(RunRecord.from_json(finished, "finished")); sys.exit("another one trains it")
        if seed == 5:
            import os; run.write_record(RunRecord.from_json(finished, "finished")); os.kill(os.getpid(), 9)
        if seed == 9: import os; os.kill(os.getpid(), 9)
        time.sleep(0.4)
        run.write_record(RunRecord.from_json(finished, "finished"))
        with open(run.path.parent / "log", "a") as log: log.write(f"end {{seed}} {{time.monotonic()}}\\n")
except KeyboardInterrupt:
    run.write_record(RunRecord.from_json(interrupted, "interrupted")); sys.exit(130)
"""


class LightEngine(LocalEngine):
    """The local engine with workers that do not import torch."""

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> LocalProcess:
        with log_file.open("ab") as log:
            command = [sys.executable, "-c", WORKER, os.fspath(job_file)]
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        return LocalProcess(process.poll, process.pid)


class RecordingEngine(LightEngine):
    """Keeps which slots it was given."""

    def __init__(self, slots: int, gpus: int = 0) -> None:
        super().__init__(slots, gpus)
        self.given: list[list[int]] = []

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> LocalProcess:
        self.given.append(list(slots))
        return super().start(job_file, log_file, slots)


@pytest.fixture
def jobs(own_folder: Path) -> Callable[..., list[Job]]:
    def make(*seeds: int, devices: int = 1, again: bool = False) -> list[Job]:
        values = {"trainer": {"devices": devices}, "run": {"again": again}}
        return [
            Job(RunConfig({**values, "seed": seed}, {}, {}), "x", own_folder / "run" / f"seed{seed}") for seed in seeds
        ]

    return make


def states(tasks: Sequence[Task]) -> list[str]:
    return [task.state for task in tasks]


def overlap(folder: Path) -> int:
    """Return the most runs that were running at once."""
    lines = [line.split() for line in (folder / "run" / "log").read_text().splitlines()]
    events = sorted((float(when), 1 if kind == "start" else -1) for kind, _, when in lines)
    under_way, most = 0, 0
    for _, change in events:
        under_way += change
        most = max(most, under_way)
    return most


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_jobs_run_in_slots(slots: int, jobs: Callable[..., list[Job]], own_folder: Path) -> None:
    tasks = Scheduler(jobs(0, 1, 2, 3), LightEngine(slots)).run()
    assert states(tasks) == ["finished"] * 4
    assert 1 <= overlap(own_folder) <= slots
    if slots > 1:
        assert overlap(own_folder) > 1


def test_a_job_on_two_devices_takes_two_slots(jobs: Callable[..., list[Job]], own_folder: Path) -> None:
    Scheduler(jobs(0, 1, devices=2), LightEngine(3)).run()
    assert overlap(own_folder) == 1


def test_slots_of_a_job_are_on_different_gpus(jobs: Callable[..., list[Job]]) -> None:
    """Slots 0 and 2 are on the same one of two GPUs, as are 1 and 3."""
    scheduler = Scheduler([*jobs(0), *jobs(1, 2, devices=2)], engine := RecordingEngine(4, gpus=2))
    assert states(scheduler.run()) == ["finished"] * 3
    assert engine.given[:2] == [[0], [1, 2]]
    assert {slot % 2 for slot in engine.given[2]} == {0, 1}


def test_a_job_on_more_gpus_than_there_are_takes_all(jobs: Callable[..., list[Job]]) -> None:
    Scheduler(jobs(0, devices=5), engine := RecordingEngine(4, gpus=2)).run()
    assert engine.given == [[0, 1]]


def test_a_job_on_more_devices_than_there_are_takes_all(jobs: Callable[..., list[Job]]) -> None:
    assert states(Scheduler(jobs(0, devices=5), LightEngine(2)).run()) == ["finished"]


def test_finished_runs_are_skipped_unless_run_again_is_set(jobs: Callable[..., list[Job]], own_folder: Path) -> None:
    Scheduler(jobs(0), LightEngine(1)).run()
    assert states(Scheduler(jobs(0, 1), LightEngine(1)).run()) == ["found", "finished"]
    assert states(Scheduler(jobs(0, again=True), LightEngine(1)).run()) == ["finished"]
    starts = (own_folder / "run" / "log").read_text().count("start 0")
    assert starts == 2


def test_other_jobs_run_when_one_fails_and_its_reason_is_reported(jobs: Callable[..., list[Job]]) -> None:
    tasks = Scheduler(jobs(8, 0, 9, 1), LightEngine(1)).run()
    assert states(tasks) == ["failed", "finished", "failed", "finished"]
    assert tasks[0].reason == "exit status 1: seed 8 fails"
    assert tasks[2].reason.startswith("killed by signal 9")
    assert scheduler.last_lines(RunFolder(tasks[0].job.folder).log_file, 5) == ["about to fail", "seed 8 fails"]


def test_a_run_that_another_process_has_just_finished_is_found(jobs: Callable[..., list[Job]]) -> None:
    """It took the run first, and was done before the scheduler looked."""
    (task,) = Scheduler(jobs(6), LightEngine(1)).run()
    assert (task.state, task.reason) == ("found", "")
    assert task.found is not None


def test_what_a_kill_at_the_very_end_left_is_removed_where_that_is_possible(jobs: Callable[..., list[Job]]) -> None:
    killed, left, stuck = jobs(5, 0, 1)
    dead = {"host": socket.gethostname(), "pid": os.getpid(), "started": "long ago", "heartbeat": time.time()}
    for job in (left, stuck):
        job.folder.mkdir(parents=True)
        RunFolder(job.folder).write_record(make_record())
        write_json(job.folder / "lock.json", dead)
    (stuck.folder / ".lock").mkdir()
    assert states(Scheduler([killed, left, stuck], LightEngine(1)).run()) == ["found"] * 3
    assert [(job.folder / "lock.json").exists() for job in (killed, left, stuck)] == [False, False, True]


def test_a_damaged_record_fails_its_run_alone(jobs: Callable[..., list[Job]]) -> None:
    damaged, good, again = (*jobs(0, 1), *jobs(2, again=True))
    for job in (damaged, again):
        job.folder.mkdir(parents=True)
        RunFolder(job.folder).record_file.write_text("{")
    tasks = Scheduler([damaged, good, again], LightEngine(1)).run()
    assert states(tasks) == ["failed", "finished", "finished"]
    assert "seed0/record.json: damaged: it is no JSON" in tasks[0].reason
    assert RunFolder(damaged.folder).record_file.read_text() == "{"


def test_a_run_that_cannot_be_started_fails_alone(jobs: Callable[..., list[Job]], own_folder: Path) -> None:
    (own_folder / "run").mkdir()
    (own_folder / "run" / "seed1").write_text("in the way")
    for name in ("job.json", "log.txt"):
        (own_folder / "run" / f"seed{2 if name == 'job.json' else 3}" / name).mkdir(parents=True)
    tasks = Scheduler(jobs(1, 2, 3, 0), LightEngine(1)).run()
    assert states(tasks) == ["failed", "failed", "failed", "finished"]
    assert "seed1: the folder cannot be made: something else has its name" in tasks[0].reason
    assert "job.json: damaged: it is a folder" in tasks[1].reason
    assert "log.txt: damaged: it is a folder" in tasks[2].reason
    assert all(scheduler.last_lines(RunFolder(task.job.folder).log_file, 5) == [] for task in tasks[:3])


def test_a_dead_owners_lock_that_cannot_be_removed_fails_its_run_alone(jobs: Callable[..., list[Job]]) -> None:
    locked, good = jobs(0, 1)
    (locked.folder / ".lock").mkdir(parents=True)
    dead = {"host": socket.gethostname(), "pid": os.getpid(), "started": "long ago", "heartbeat": time.time()}
    write_json(locked.folder / "lock.json", dead)
    tasks = Scheduler([locked, good], LightEngine(1)).run()
    assert states(tasks) == ["failed", "finished"]
    assert "seed0/.lock: is not a file; move it away" in tasks[0].reason


def test_the_reason_of_a_failure_is_the_records_error(jobs: Callable[..., list[Job]]) -> None:
    (job,) = jobs(8)
    job.folder.mkdir(parents=True)
    RunFolder(job.folder).write_record(make_record("failed", error="ValueError: nothing there"))
    assert scheduler.failure_reason(job, 1) == "exit status 1: ValueError: nothing there"


def test_a_run_that_diverged_is_no_failure_of_the_machine(jobs: Callable[..., list[Job]]) -> None:
    (job,) = jobs(8)
    job.folder.mkdir(parents=True)
    RunFolder(job.folder).write_record(make_record("diverged", error="training diverged in epoch 1"))
    (task,) = Scheduler([job], LightEngine(1)).run()
    assert (task.state, task.done, task.reason) == ("diverged", True, "training diverged in epoch 1")


def test_a_process_that_the_system_killed_may_have_lacked_memory(jobs: Callable[..., list[Job]]) -> None:
    (job,) = jobs(0)
    reason = scheduler.failure_reason(job, -9)
    assert reason.startswith("killed by signal 9 (as a system without free memory does; a smaller data.batch_size")
    assert "memory" not in scheduler.failure_reason(job, -15)


def test_an_interrupt_stops_running_jobs_and_starts_no_others(jobs: Callable[..., list[Job]]) -> None:
    under_test = Scheduler(jobs(0, 7, 1), LightEngine(1))

    def interrupt() -> None:
        while under_test.tasks[1].state != "running" or not (under_test.tasks[1].job.folder / "lock.json").exists():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        under_test.run()
    watcher.join()
    assert time.monotonic() - started < 25
    assert states(under_test.tasks) == ["finished", "interrupted", "interrupted"]
    record = RunFolder(under_test.tasks[1].job.folder).record()
    assert record == make_record("interrupted")
    assert not under_test.tasks[2].job.folder.exists()


class DetachingEngine(LightEngine):
    """An engine whose jobs go on without the scheduler; it notes how many were started before each `submit`."""

    detaches = True

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self.started: list[LocalProcess] = []
        self.submitted: list[int] = []

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> LocalProcess:
        self.started.append(super().start(job_file, log_file, slots))
        return self.started[-1]

    def submit(self) -> None:
        self.submitted.append(len(self.started))


class QueueingProcess(LocalProcess):
    """A process that waits in a queue when it is looked at first."""

    looks = 0

    @property
    def waits_for(self) -> str:  # type: ignore[override]
        self.looks += 1
        return "Resources" if self.looks < 3 else ""


class QueueingEngine(LightEngine):
    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> LocalProcess:
        process = super().start(job_file, log_file, slots)
        queued = QueueingProcess(process.poll, process.pid)
        queued.poll = lambda: process.poll() if queued.looks >= 3 else None  # none ends before it is seen to run
        return queued


def test_what_a_queue_holds_back_waits_and_its_time_begins_when_it_runs(jobs: Callable[..., list[Job]]) -> None:
    seen: list[tuple[str, str, float]] = []

    def watch(tasks: Sequence[Task]) -> None:
        seen.append((tasks[0].shown, tasks[0].waits_for, tasks[0].started))

    (task,) = Scheduler(jobs(0), QueueingEngine(1), watch).run()
    shown = list(dict.fromkeys((state, reason) for state, reason, _ in seen))
    assert shown == [("waiting", "Resources"), ("running", ""), ("finished", "")]
    begun = [started for state, _, started in seen if state == "waiting"]
    assert begun == sorted(set(begun)) and begun[-1] == task.started < task.ended


def test_jobs_of_an_engine_that_detaches_go_on_after_an_interrupt(jobs: Callable[..., list[Job]]) -> None:
    engine = DetachingEngine(2)

    def watch(tasks: Sequence[Task]) -> None:
        signal.raise_signal(signal.SIGINT)

    under_test = Scheduler(jobs(7, 7, 0), engine, watch)
    with pytest.raises(KeyboardInterrupt):
        under_test.run()
    assert states(under_test.tasks) == ["detached", "detached", "interrupted"]
    assert engine.submitted == [2]  # both at once
    assert [process.poll() for process in engine.started] == [None, None]
    for process in engine.started:
        process.kill_after(0)


def test_a_run_that_was_stopped_alone_is_interrupted_and_the_others_go_on(jobs: Callable[..., list[Job]]) -> None:
    def watch(tasks: Sequence[Task]) -> None:
        owned = (tasks[0].job.folder / "lock.json").exists()
        if owned and tasks[0].process is not None and tasks[0].state == "running":
            tasks[0].process.interrupt()

    tasks = Scheduler(jobs(7, 0), LightEngine(1), watch).run()
    assert states(tasks) == ["interrupted", "finished"]


def test_runs_go_on_when_nobody_reads_the_output_any_more(jobs: Callable[..., list[Job]]) -> None:
    looks = 0

    def watch(tasks: Sequence[Task]) -> None:
        nonlocal looks
        looks += 1
        raise BrokenPipeError

    assert states(Scheduler(jobs(0, 1), LightEngine(2), watch).run()) == ["finished", "finished"]
    assert looks == 1


def test_no_run_goes_on_when_the_scheduler_fails(jobs: Callable[..., list[Job]]) -> None:
    def watch(tasks: Sequence[Task]) -> None:
        if (tasks[0].job.folder / "lock.json").exists():
            raise ZeroDivisionError

    under_test = Scheduler(jobs(7), LightEngine(1), watch)
    with pytest.raises(ZeroDivisionError):
        under_test.run()
    assert RunFolder(under_test.tasks[0].job.folder).record() == make_record("interrupted")


def test_the_scheduler_waits_for_a_run_of_another_process(jobs: Callable[..., list[Job]]) -> None:
    (job,) = jobs(0)
    job.folder.mkdir(parents=True)
    mark = {"host": socket.gethostname(), "pid": os.getpid(), "started": process_started(os.getpid())}
    write_json(job.folder / "lock.json", {**mark, "heartbeat": time.time()})
    seen: list[str] = []

    def watch(tasks: Sequence[Task]) -> None:
        seen.append(tasks[0].state)
        if len(seen) == 2:
            RunFolder(job.folder).write_record(make_record())
            (job.folder / "lock.json").unlink()

    tasks = Scheduler([job], LightEngine(1), watch).run()
    assert seen[0] == "elsewhere"
    assert states(tasks) == ["found"]


def test_a_run_continues_here_when_its_other_owner_dies(jobs: Callable[..., list[Job]]) -> None:
    (job,) = jobs(0)
    job.folder.mkdir(parents=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    mark = {"host": socket.gethostname(), "pid": other.pid, "started": process_started(other.pid)}
    write_json(job.folder / "lock.json", {**mark, "heartbeat": time.time()})

    def watch(tasks: Sequence[Task]) -> None:
        if tasks[0].state == "elsewhere":
            other.kill()
            other.wait()

    assert states(Scheduler([job], LightEngine(1), watch).run()) == ["finished"]


@pytest.mark.smoke
def test_slots_share_cores_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert LocalEngine(4).environment([0])["OMP_NUM_THREADS"] == "2"
    assert LocalEngine(4).environment([0, 1])["OMP_NUM_THREADS"] == "4"
    assert LocalEngine(16).environment([3])["OMP_NUM_THREADS"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in LocalEngine(4).environment([0])
    two_each = LocalEngine(4, gpus=2)
    assert [two_each.environment([slot])["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "1", "0", "1"]
    assert two_each.environment([0, 1])["CUDA_VISIBLE_DEVICES"] == "0,1"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert LocalEngine(2, gpus=2).environment([1])["CUDA_VISIBLE_DEVICES"] == "6"
