"""attnbench train -m: plan every run of a sweep, then let the scheduler do them."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.config.compose import Composer
from attnbench.config.sweep import expand
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.launch.processes import warm_up
from attnbench.launch.scheduler import Scheduler, Task, automatic_slots, last_lines
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder, as_typed, shown
from attnbench.runs.record import FinishedRecord

if TYPE_CHECKING:
    from rich.console import Console


def sweep(arguments: argparse.Namespace) -> int:
    """Run a sweep and print its table; returns the exit status."""
    expanded = expand(arguments.overrides, arguments.config_dir, arguments.config_name)
    warm_up()
    if note := expanded.note():
        print(f"attnbench: {note}")
    jobs, refusals = plan_all(expanded.configs)
    if refusals and not expanded.configs[0]["sweep"]["skip_invalid"]:
        for refusal in refusals:
            print(f"attnbench: {refusal}", file=sys.stderr)
        print("attnbench: nothing was started; sweep.skip_invalid=true leaves these out", file=sys.stderr)
        return WRONG_INPUT
    for refusal in refusals:
        print(f"attnbench: left out: {refusal}")
    return run_all(jobs) if jobs else WRONG_INPUT


def plan_all(configs: Sequence[RunConfig]) -> tuple[list[Job], list[str]]:
    """Check every configuration; the jobs to be done, and each mistake once."""
    from attnbench.training.plan import plan

    jobs: dict[str, Job] = {}
    refusals: list[str] = []
    for config in configs:
        try:
            job = plan(config)
        except UserError as error:
            if str(error) not in refusals:
                refusals.append(str(error))
        else:
            jobs.setdefault(str(job.folder), job)
    return list(jobs.values()), refusals


def run_all(jobs: Sequence[Job]) -> int:
    """Run jobs on this machine, showing how they fare; print how they ended and a table; return the exit status."""
    from attnbench.cli.views.summary import comparison
    from attnbench.console import make_console

    console = make_console()
    tasks, status = run_jobs(jobs, console, slots_for(jobs))
    records = {
        job.folder: record
        for job in jobs
        if isinstance(record := readable(RunFolder(job.folder).record, None), FinishedRecord)
    }
    if records:
        console.print(comparison(jobs, records))
    output = jobs[0].folder.parent.parent.parent
    console.print(f"{tally(tasks)}. Compare curves: tensorboard --logdir {as_typed(output)}", soft_wrap=True)
    return status


def run_jobs(jobs: Sequence[Job], console: "Console", slots: int) -> tuple[Sequence[Task], int]:
    """Run jobs on so many slots, showing how they fare, and say why any failed; how all ended, and the exit status."""
    from attnbench.cli.views.live import LiveView
    from attnbench.launch.processes import LocalEngine

    scheduler = Scheduler(jobs, LocalEngine(slots, gpus=gpu_count()))
    tasks: Sequence[Task]
    status = DONE
    with LiveView(console, jobs) as view:
        scheduler.watch = view.show
        try:
            tasks = scheduler.run()
        except KeyboardInterrupt:
            tasks, status = scheduler.tasks, INTERRUPTED
    for task in tasks:
        if task.state == "failed":
            tell_failure(task)
            status = max(status, FAILED)
    return tasks, status


def tally(tasks: Sequence[Task]) -> str:
    """How many runs there were, and how they ended."""
    counts = {
        state: sum(task.state == state for task in tasks) for state in ("finished", "found", "failed", "interrupted")
    }
    said = ", ".join(f"{count} {TOLD[state]}" for state, count in counts.items() if count)
    return f"{len(tasks)} runs: {said}"


TOLD = {
    "finished": "trained",
    "found": "found finished",
    "failed": "failed",
    "interrupted": "interrupted (the same command goes on)",
}


def tell_failure(task: Task) -> None:
    """Say which run failed and why, with the last lines of its log."""
    log = RunFolder(task.job.folder).log_file
    print(f"attnbench: failed: {shown(task.job.folder)}: {task.reason}", file=sys.stderr)
    for line in last_lines(log, 5):
        print(f"    {line}", file=sys.stderr)
    print(f"    (whole log: {shown(log)})", file=sys.stderr)


def slots_for(jobs: Sequence[Job]) -> int:
    """How many jobs run at a time: `sweep.jobs`, or what the machine takes."""
    wanted = jobs[0].config["sweep"]["jobs"]
    if wanted == "auto":
        return automatic_slots(len(jobs))
    if int(wanted) < 1:
        raise UserError(f"sweep.jobs={wanted}: must be at least 1, or auto")
    return int(wanted)


def gpu_count() -> int:
    """GPUs on this machine."""
    import torch

    return torch.cuda.device_count()


def jobs_of(override_lists: Sequence[Sequence[str]], config_dir: str | None, config_name: str | None) -> list[Job]:
    """Plan the jobs that another sweeper asks for. Raises `UserError` for the first mistake."""
    from attnbench.training.plan import plan

    composer = Composer(config_dir, config_name)
    return [plan(composer.compose(list(overrides))) for overrides in override_lists]
