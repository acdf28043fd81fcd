"""attnbench train -m: plan every run of a sweep, then run them with the scheduler."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from attnbench.cli.notes import notes_on
from attnbench.cli.output import print_message
from attnbench.cli.sweep_curves import are_grouped, group_curves
from attnbench.config.compose import Composer
from attnbench.config.sweep import expand
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.launch.dry import DryLauncher
from attnbench.launch.engine import Engine, NoEngine
from attnbench.launch.launcher import Launcher, launcher_of, wanted_slots
from attnbench.launch.scheduler import Scheduler, Task, last_lines
from attnbench.plain_text import plain
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder, as_typed, shown
from attnbench.runs.sweeps import LOCAL, SweepFolder, sweep_of
from attnbench.training.distributed import take_world
from attnbench.training.found import all_finished, without_seed

if TYPE_CHECKING:
    from rich.console import Console

ENDINGS = {
    "finished": "trained",
    "found": "already trained",
    "failed": "failed",
    "diverged": "diverged",
    "interrupted": "interrupted (the same command continues)",
    "detached": "left to the cluster",
}
"""Words for the final states of tasks."""


def sweep(arguments: argparse.Namespace) -> int:
    """Run a sweep and print its table; returns the exit status."""
    take_world(devices=1)
    expanded = expand(arguments.overrides, arguments.config_dir, arguments.config_name)
    launcher = launcher_of(expanded.configs)
    found = all_finished(expanded.configs)
    if found is None:
        launcher.prepare()
    notes = sys.stderr if isinstance(launcher, DryLauncher) else sys.stdout  # commands are printed alone
    if note := expanded.note():
        print(plain(f"attnbench: {note}"), file=notes)
    if found is not None:
        return run_all(found, finished=True)
    jobs, mistakes = plan_all(expanded.configs)
    if mistakes and not expanded.configs[0]["sweep"]["skip_invalid"]:
        print_mistakes(mistakes)
        return WRONG_INPUT
    for mistake in mistakes:
        print(plain(f"attnbench: left out: {mistake}", keep=""), file=notes)
    return run_all(jobs) if jobs else WRONG_INPUT


def run_alone(config: RunConfig, launcher: Launcher) -> int:
    """Run what one configuration describes where its `launch` says, and return the exit status."""
    if found := all_finished([config]):
        return run_all(found, finished=True)
    launcher.prepare()
    jobs, mistakes = plan_all([config])
    for mistake in mistakes:
        print_message(mistake)
    return run_all(jobs) if jobs else WRONG_INPUT


def print_mistakes(mistakes: Sequence[str]) -> None:
    """Print the mistakes that keep a sweep from starting."""
    for mistake in mistakes:
        print_message(mistake)
    print_message("nothing was started; sweep.skip_invalid=true leaves these out")


def plan_all(configs: Sequence[RunConfig]) -> tuple[list[Job], list[str]]:
    """Check every configuration; returns the jobs, and the message of every mistake once."""
    from attnbench.console import make_console
    from attnbench.training.plan import check_seed, plan

    jobs: dict[str, Job] = {}
    planned: dict[str, Job] = {}
    mistakes: dict[str, None] = {}
    with make_console().status("checking") as status:
        for number, config in enumerate(configs, 1):
            status.update(f"checking run {number:,} of {len(configs):,}")
            content = without_seed(config)
            try:
                check_seed(seed := config["seed"])
                if content not in planned:  # once for all seeds: the network is built for it
                    planned[content] = plan(config)
            except UserError as error:
                mistakes[str(error)] = None
            else:
                job = planned[content].with_seed(seed)
                jobs.setdefault(str(job.folder), job)
    return list(jobs.values()), list(mistakes)


def run_all(jobs: Sequence[Job], finished: bool = False) -> int:
    """Run jobs, print how they ended and a table, and return the exit status; `finished`: `all_finished` found them."""
    from attnbench.cli.views.summary import comparison
    from attnbench.console import make_console

    launcher, notes = launcher_of([job.config for job in jobs]), notes_on(jobs)
    if isinstance(launcher, DryLauncher):
        for note in notes:
            print_message(note)
        return print_commands(jobs, launcher)
    console = make_console()
    for note in notes:
        console.print(f"attnbench: {note}", soft_wrap=True)
    if finished:
        wanted_slots(jobs[0].config)  # raises for a wrong number all the same
    slots, engine = (1, NoEngine()) if finished else (launcher.slots(jobs), None)
    tasks, status = run_jobs(jobs, console, slots, engine=engine)
    records = {
        task.job.folder: record
        for task in tasks
        if (record := task.found or readable(RunFolder(task.job.folder).record, None)) is not None
        and record.status in ("finished", "diverged")
    }
    if records:
        console.print(comparison(jobs, records))
    output = jobs[0].folder.parent.parent.parent
    if records and any("tensorboard" in job.config["logger"] for job in jobs) and not are_grouped(jobs):
        group_curves(jobs)
    console.print(f"{tally(tasks)}. Compare curves: tensorboard --logdir {as_typed(output)}", soft_wrap=True)
    return status


def print_commands(jobs: Sequence[Job], launcher: DryLauncher) -> int:
    """Print what does the jobs that are not finished, and return the exit status."""
    left = [job for job in jobs if job.again or not readable(RunFolder(job.folder).finished, False)]
    if len(left) < len(jobs):
        print_message(f"{len(jobs) - len(left)} of {len(jobs)} runs are finished and left out")
    if left:
        print(launcher.text(left, launcher.slots(left), sweep_of(left)), end="")
    return DONE


def run_jobs(
    jobs: Sequence[Job],
    console: "Console",
    slots: int,
    labels: Mapping[str, str] | None = None,
    look: Callable[[Sequence[Task]], None] = lambda tasks: None,
    engine: Engine | None = None,
) -> tuple[Sequence[Task], int]:
    """Run jobs where their `launch` says, show their progress, and print why any failed.

    Args:
        jobs: checked before.
        console: where the progress is shown.
        slots: how many run at a time.
        labels: names of runs by identity, where there are better ones than how they differ.
        look: called with the tasks after every look at them, before they are shown.
        engine: that runs them, if not that of their `launch`.

    Returns:
        The tasks with their final states, and the exit status.

    Raises:
        UserError: a run needs several machines.
    """
    from attnbench.cli.views.live import LiveView

    require_one_machine(jobs)
    launcher, sweep_folder = launcher_of([job.config for job in jobs]), sweep_of(jobs)
    scheduler = Scheduler(jobs, engine or launcher.engine(jobs, slots, sweep_folder))
    tasks: Sequence[Task]
    status = DONE
    with LiveView(console, jobs, labels) as view, sweep_folder.owned():
        note_sweep(sweep_folder, jobs, [view.name(task) for task in scheduler.tasks], launcher)

        def look_and_show(tasks: Sequence[Task]) -> None:
            look(tasks)
            view.show(tasks)

        scheduler.watch = look_and_show
        try:
            tasks = scheduler.run()
        except KeyboardInterrupt:
            tasks, status = scheduler.tasks, INTERRUPTED
    for task in tasks:
        if task.state in ("failed", "diverged"):
            print_failure(task)
        if task.state in ("failed", "diverged", "interrupted"):
            status = max(status, FAILED)
    if left := sum(task.state == "detached" for task in tasks):
        go_on = "1 run goes on" if left == 1 else f"{left} runs go on"
        print_message(f"{go_on}; attnbench status {sweep_folder.id} shows how far, the same command waits again")
    return tasks, status


def note_sweep(folder: SweepFolder, jobs: Sequence[Job], names: Sequence[str], launcher: Launcher) -> None:
    """Write which runs a sweep has. Those on this machine are done even if that cannot be written."""
    try:
        folder.begin(jobs, names, launcher.name, launcher.address)
    except (OSError, UserError) as error:
        if launcher.name != LOCAL:
            raise
        print_message(f"attnbench status will not show this sweep: {error}")


def require_one_machine(jobs: Sequence[Job]) -> None:
    """Raise `UserError` for a run on several machines, whose processes only torchrun or srun can start."""
    for job in jobs:
        if (nodes := job.config["trainer"].get("nodes", 1)) > 1:
            raise UserError(f"trainer.nodes={nodes}: such a run is started alone, on each machine by torchrun or srun")


def tally(tasks: Sequence[Task]) -> str:
    """Return how many runs there were, and how they ended."""
    counts = {state: sum(task.state == state for task in tasks) for state in ENDINGS}
    endings = ", ".join(f"{count} {ENDINGS[state]}" for state, count in counts.items() if count)
    return f"{len(tasks)} runs: {endings}"


def print_failure(task: Task) -> None:
    """Print which run failed and why, with the last lines of its log, unless it diverged or was never started."""
    log = RunFolder(task.job.folder).log_file
    print_message(f"{task.state}: {shown(task.job.folder)}: {task.reason}")
    lines = last_lines(log, 5) if task.state == "failed" and task.process is not None else []
    for line in [*lines, f"(whole log: {shown(log)})"] if lines else []:
        print(f"    {plain(line)}", file=sys.stderr)


def slots_for(jobs: Sequence[Job]) -> int:
    """Return how many jobs run at a time: `sweep.jobs`, or as many as there is room for."""
    return launcher_of([job.config for job in jobs]).slots(jobs)


def jobs_of(override_lists: Sequence[Sequence[str]], config_dir: str | None, config_name: str | None) -> list[Job]:
    """Plan the jobs that another sweeper requests. Raises `UserError` for the first mistake."""
    from attnbench.training.plan import plan

    composer = Composer(config_dir, config_name)
    return [plan(composer.compose(list(overrides))) for overrides in override_lists]
