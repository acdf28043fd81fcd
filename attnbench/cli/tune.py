"""attnbench tune: search the options of every method alike, then train the winners on fresh seeds and compare them."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.cli.arguments import make_parser, wants_help
from attnbench.cli.help import TUNE
from attnbench.cli.table import add_output, check_output, show
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED
from attnbench.runs.files import shown
from attnbench.runs.lock import Lock, RunLockedError
from attnbench.training.distributed import take_world

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.tune.tuning import Tuning


def main(words: Sequence[str]) -> int:
    """Tune what the overrides say, print the table of the winners, and return the exit status."""
    if wants_help(words):
        print_help(TUNE)
        return DONE
    arguments = _parse(words)
    take_world(devices=1)
    from attnbench.console import make_console

    tuning, console = _open(arguments), make_console()
    with _owned(tuning.folder):
        print_plan(tuning, console)
        status = search(tuning, console)
        return status if status != DONE else finish(tuning, arguments, console)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = make_parser("tune")
    parser.add_argument("overrides", nargs="*")
    add_output(parser)
    arguments = parser.parse_intermixed_args(words)
    check_output(arguments)
    return arguments


def _open(arguments: argparse.Namespace) -> "Tuning":
    from attnbench.config.compose import Composer
    from attnbench.config.sweep import expand
    from attnbench.launch.dry import DryLauncher
    from attnbench.launch.launcher import launcher_of
    from attnbench.tune.options import read_request
    from attnbench.tune.tuning import Tuning

    request = read_request(arguments.overrides, arguments.config_dir)
    sweep = expand(request.overrides, arguments.config_dir)
    launcher = launcher_of(sweep.configs)
    if isinstance(launcher, DryLauncher):
        raise UserError("launch=dry: tuning chooses trials by the results of earlier ones, so it has to run them")
    launcher.prepare()
    return Tuning.open(request, sweep, Composer(arguments.config_dir))


@contextmanager
def _owned(folder: Path) -> Iterator[None]:
    """Own a tuning's folder. Raises `UserError` if another process tunes the same."""
    try:
        with Lock(folder):
            yield
    except RunLockedError as error:
        raise UserError(f"{shown(folder)}: {error.owner.name} tunes it already; wait for it, or stop it") from error


def print_plan(tuning: "Tuning", console: "Console") -> None:
    """Print what is tuned, over what, and what has been done."""
    options = tuning.request.options
    methods = ", ".join(search.method.name for search in tuning.searches)
    console.print(f"attnbench: tuning {methods}: {options.trials} trials each ({shown(tuning.folder)})", soft_wrap=True)
    for dimension in tuning.request.space:
        lacking = [search.method.name for search in tuning.searches if dimension not in search.method.space]
        note = f"; does not apply to {', '.join(lacking)}" if lacking else ""
        console.print(f"  {dimension}{note}", soft_wrap=True)
    if done := sum(sum(search.counts().values()) for search in tuning.searches):
        console.print(f"  {done} trials of an earlier start are kept", soft_wrap=True)


def search(tuning: "Tuning", console: "Console") -> int:
    """Run all trials that are left; returns the exit status."""
    from attnbench.cli.sweep import run_jobs, slots_for
    from attnbench.tune.stopping import TrialWatch

    slots = slots_for([search.method.job for search in tuning.searches] * tuning.request.options.trials)
    while trials := tuning.next_trials(slots):
        jobs = list({job.folder: job for trial in trials for job in trial.jobs}.values())
        names = {job.identity: trial.name for trial in trials for job in trial.jobs}
        watch = TrialWatch(trials, tuning.request.options.startup)
        _, status = run_jobs(jobs, console, slots, names, watch.look)
        ended = [trial for trial in trials if trial.stopped or trial.settle()]
        for trial in ended:
            console.print(f"{trial.name}: {trial.outcome()} ({', '.join(trial.chosen)})", soft_wrap=True)
        if status == INTERRUPTED:
            return INTERRUPTED
        if len(ended) < len(trials):
            console.print("the same command tries the trials that failed again", soft_wrap=True)
            return FAILED
    return DONE


def finish(tuning: "Tuning", arguments: argparse.Namespace, console: "Console") -> int:
    """Train the winners, print and keep their table; returns the exit status."""
    from attnbench.cli.sweep import run_jobs, slots_for, tally
    from attnbench.tune.result import keep, make_report

    jobs = tuning.final_jobs()
    console.print(f"training the best trial of each method with {tuning.request.options.final_seeds} fresh seeds")
    tasks, status = run_jobs(jobs, console, slots_for(jobs))
    console.print(tally(tasks), soft_wrap=True)
    if status != DONE:
        return status
    report = make_report(tuning, jobs)
    keep(tuning, report)
    show(report, arguments.format, arguments.to)
    console.print(f"kept in {shown(tuning.folder)}", soft_wrap=True)
    return DONE
