"""The table that a terminal shows while a sweep runs."""

import json
from pathlib import Path

from rich.console import Console

from attnbench.cli.views.live import LiveView
from attnbench.config.sweep import expand
from attnbench.launch.scheduler import State, Task
from attnbench.runs.folder import Job
from tests.runs.samples import record_json


def tasks_of(folder: Path, *states: State) -> list[Task]:
    configs = expand([f"seed={','.join(map(str, range(len(states))))}"]).configs
    jobs = [Job(config, "0123456789", folder / f"seed{n}") for n, config in enumerate(configs)]
    return [Task(job, state) for job, state in zip(jobs, states, strict=True)]


def rows(view: LiveView, tasks: list[Task]) -> list[list[str]]:
    with view.console.capture() as capture:
        view.console.print(view.table(tasks))
    return [line.split() for line in capture.get().splitlines()]


def test_finished_runs_show_their_accuracy_and_speed(own_folder: Path) -> None:
    tasks = tasks_of(own_folder, "finished", "found", "failed", "waiting")
    for task in tasks[:2]:
        task.job.folder.mkdir()
        (task.job.folder / "record.json").write_text(json.dumps(record_json()))
    view = LiveView(Console(width=120), [task.job for task in tasks])
    epochs = tasks[0].job.config["recipe"]["epochs"]
    shown = rows(view, tasks)
    assert ["seed=0", "finished", f"4/{epochs}", "90.0%", "512"] in shown
    assert ["seed=1", "found", f"4/{epochs}", "90.0%", "512"] in shown
    assert ["seed=2", "failed"] in shown
    for task in tasks[:2]:
        (task.job.folder / "record.json").unlink()  # it is read once, not every second
    assert rows(view, tasks) == shown


def test_what_a_cluster_has_queued_waits_and_says_for_what(own_folder: Path) -> None:
    running, queued = tasks_of(own_folder, "running", "running")
    queued.waits_for = "Resources"
    tasks = [queued, running]
    view = LiveView(Console(width=120), [task.job for task in tasks])
    shown = rows(view, tasks)
    assert shown.index(["seed=0", "running"]) < shown.index(["seed=1", "waiting:", "Resources"])
    with view.console.capture() as capture:
        view.show(tasks)
    assert capture.get() == "[0/2] seed=0: running\n"
    queued.waits_for = ""
    with view.console.capture() as capture:
        view.show(tasks)
    assert capture.get() == "[0/2] seed=1: running\n"


def test_runs_have_the_names_that_they_are_given(own_folder: Path) -> None:
    tasks = tasks_of(own_folder, "running", "waiting")
    view = LiveView(Console(width=120), [task.job for task in tasks], {tasks[0].job.identity: "ResNet50 + BAM"})
    assert ["ResNet50", "+", "BAM", "seed=0", "running"] in rows(view, tasks)
