"""attnbench reproduce: run what is missing of a paper's table, and print it beside the paper's numbers."""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from attnbench.cli.arguments import wants_help
from attnbench.cli.decision_flags import add_decision_flags, check_decision_flags, most_seeds
from attnbench.cli.help import REPRODUCE
from attnbench.cli.notes import notes_on
from attnbench.cli.only_flag import check_only, chosen_jobs
from attnbench.cli.output import print_message
from attnbench.cli.parser import Parser, refuse
from attnbench.cli.table import add_output, check_columns_shown, check_names, check_output, show
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.tables.results.values import Key
from attnbench.tables.spec.cell_configs import key_of
from attnbench.training.distributed import take_world

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from attnbench.reproduce.campaign import TableReproduction
    from attnbench.reproduce.states import RunStates


def main(words: Sequence[str]) -> int:
    """Reproduce a table; returns the exit status."""
    if wants_help(words):
        print_help(REPRODUCE)
        return DONE
    arguments = parse(words)
    take_world(devices=1)
    from attnbench.cli.sweep import print_commands, print_mistakes
    from attnbench.cli.until_decided import until_decided
    from attnbench.console import make_console
    from attnbench.launch.dry import DryLauncher
    from attnbench.launch.launcher import launcher_of
    from attnbench.reproduce.campaign import TableReproduction

    reproduction = TableReproduction.open(arguments.table, arguments.profile, arguments.overrides, arguments.config_dir)
    if not any(cell.config for cell in reproduction.cells.values()):
        reason = next(iter(reproduction.cells.values())).reason
        raise UserError(f"{arguments.table}: nothing in it can be run: {reason}")
    launcher = launcher_of([cell.config for cell in reproduction.cells.values() if cell.config])
    launcher.prepare()
    jobs, mistakes = reproduction.jobs(range(most_seeds(arguments)))
    if mistakes and not (reproduction.skips_invalid and jobs):
        print_mistakes(mistakes)
        return WRONG_INPUT
    console = make_console(stderr=isinstance(launcher, DryLauncher))  # then commands are printed alone
    for mistake in mistakes:
        console.print(f"attnbench: left out: {mistake}", soft_wrap=True)
    jobs = chosen_jobs(reproduction, jobs, arguments.only)
    if isinstance(launcher, DryLauncher):
        return print_commands(print_states(reproduction, jobs, console), launcher)
    run = until_decided if arguments.until_decided else run_missing
    status = run(reproduction, jobs, arguments, console)
    if status == INTERRUPTED or arguments.dry_run:
        return status
    return finish(reproduction, jobs, arguments, console, status)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. Raises `UserError`."""
    parser = Parser(prog="attnbench reproduce", add_help=False, allow_abbrev=False)
    parser.add_argument("table", nargs="?")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--columns")
    parser.add_argument("--only")
    add_decision_flags(parser)
    add_output(parser)
    arguments = parser.parse_intermixed_args(words)
    if arguments.table is None or "=" in arguments.table:
        raise UserError("attnbench reproduce: name a table; attnbench list paper shows all")
    if arguments.dry_run:
        refuse(arguments, ("format", "to", "columns"), "--dry-run prints no results")
    check_output(arguments)
    check_columns_shown(arguments)
    if arguments.columns:
        check_names(arguments.table, arguments.columns, arguments.config_dir)
    for flag in ("seeds", "jobs"):
        if (number := getattr(arguments, flag)) is not None and number < 1:
            raise UserError(f"--{flag} {number}: must be at least 1")
    check_decision_flags(arguments)
    check_only(arguments)
    for key in ("seed", "run.again"):
        if any(key_of(word) == key for word in arguments.overrides):
            raise UserError(f"{key}: attnbench reproduce chooses it; --seeds N runs seeds 0 to N-1")
    return arguments


def run_missing(
    reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]], arguments: argparse.Namespace, console: "Console"
) -> int:
    """Print the states of the runs and the time that the missing ones need, then run them; returns the exit status."""
    from attnbench.cli.sweep import run_jobs, slots_for, tally

    missing = print_states(reproduction, jobs, console)
    if not missing:
        return DONE
    slots = arguments.jobs or slots_for(missing)
    print_estimate(missing, slots, console)
    if arguments.dry_run:
        return DONE
    tasks, status = run_jobs(missing, console, slots, run_labels(reproduction, jobs))
    console.print(tally(tasks), soft_wrap=True)
    return status


def run_labels(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> dict[str, str]:
    """Return the names of runs by identity: the row, and the column where the columns of a row are different runs."""
    table = reproduction.table
    labels: dict[str, str] = {}
    for (row, column), cell_jobs in jobs.items():
        runs = {job.identity for (other, _), others in jobs.items() if other == row for job in others}
        name = table.name_of(row) + (f" · {table.columns[column].label}" if len(runs) > 1 else "")
        labels.update({job.identity: labels.get(job.identity, name) for job in cell_jobs})
    return labels


def print_states(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]], console: "Console") -> list[Job]:
    """Print the states of the runs and return the jobs that have no result yet."""
    from attnbench.reproduce.states import RunStates, kept_of_other_weights

    states = RunStates(reproduction, jobs)
    unique_jobs = list({str(job.folder): job for job in chain.from_iterable(jobs.values())}.values())
    profile = reproduction.profile
    console.print(f"{reproduction.table.name}, profile {profile.name}: {profile.says}", soft_wrap=True)
    console.print(state_table(reproduction, jobs, states))
    console.print(f"{len(unique_jobs)} runs: {count_states(map(states.of, unique_jobs))}", soft_wrap=True)
    if others := kept_of_other_weights(reproduction, jobs):
        console.print(f"left out: {others} runs kept in {shown(reproduction.folder)}, which started from another file"
                      " of weights; what is kept there will be replaced", soft_wrap=True)  # fmt: skip
    missing = [job for job in unique_jobs if not states.has_result(job)]
    for note in notes_on(missing):
        console.print(note, soft_wrap=True)
    return missing


def print_estimate(missing: Sequence[Job], slots: int, console: "Console") -> None:
    """Print how long the missing runs will take."""
    from attnbench.formatting import duration
    from attnbench.reproduce.estimate import seconds_left

    with console.status("measuring a few steps of each kind of run"):
        seconds, failures = seconds_left(missing, slots)
    for failure in failures:
        console.print(f"the estimate leaves out runs whose steps fail: {failure}", soft_wrap=True)
    count = f"{len(missing)} run{'s' * (len(missing) != 1)}"
    console.print(f"about {duration(seconds)} for {count}, {slots} at a time", soft_wrap=True)


def count_states(states: Iterable[str]) -> str:
    """Return the number of runs in each state: `2 done, 1 partial`."""
    counts = Counter(states)
    from attnbench.reproduce.states import STATES

    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])


def state_table(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]], states: "RunStates") -> "Table":
    """Return a table of the runs' states, with the rows and columns of the paper's table."""
    from attnbench.console import make_table

    table = make_table()
    table.add_column("")
    for column in reproduction.table.columns.values():
        table.add_column(column.label)
    for row in reproduction.table.rows.values():
        cells = [
            cell_states(jobs[row.key, column], states)
            if (row.key, column) in jobs
            else reproduction.cells[row.key, column].reason or "left out"
            for column in reproduction.table.columns
        ]
        table.add_row(reproduction.table.name_of(row.key), *cells)
    return table


def cell_states(jobs: Sequence[Job], known: "RunStates") -> str:
    """Return the states of a cell's runs: `2 done, 1 partial (3/6 epochs)`."""
    states = [known.of(job) for job in jobs]
    partial = next((job for job, state in zip(jobs, states, strict=True) if state == "partial"), None)
    return count_states(states) + (f" ({RunFolder(partial.folder).epochs()} epochs)" if partial else "")


def explain_missing(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]], console: "Console") -> int:
    """Explain the runs whose maps the table shows, as far as this has not been done; return the exit status."""
    from attnbench.cli.explain_runs import explain_all
    from attnbench.reproduce.explanations import missing_explanations, request_of

    missing = missing_explanations(reproduction, jobs)
    request = request_of(reproduction)
    if request is None or not missing:
        return DONE
    return explain_all(missing, request, run_labels(reproduction, jobs), console)


def draw(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> int:
    """Draw the table's picture, if it has one; return the exit status."""
    from attnbench.reproduce.pictures import draw_pictures

    try:
        draw_pictures(reproduction, jobs)
    except UserError as error:
        print_message(f"the picture could not be drawn: {error}")
        return FAILED
    return DONE


def finish(
    reproduction: "TableReproduction",
    jobs: Mapping[Key, list[Job]],
    arguments: argparse.Namespace,
    console: "Console",
    status: int,
) -> int:
    """Do the missing evaluations and explanations, draw, print the table and archive it; returns the exit status.

    Args:
        status: of the runs; the exit status is not lower.
    """
    from attnbench.cli.evaluate import evaluate_all
    from attnbench.reproduce.archive import archive_results
    from attnbench.reproduce.evaluations import missing_evaluations
    from attnbench.tables.columns import choose_columns, split_names

    status = max(status, evaluate_all(missing_evaluations(reproduction, jobs))[1])
    if status != INTERRUPTED:
        status = max(status, explain_missing(reproduction, jobs, console), draw(reproduction, jobs))
    results = reproduction.results()
    report = reproduction.report(results)
    archive = None
    if any(result.records or result.diverged for result in results.values()):
        archive = archive_results(reproduction, results, report)
    show(choose_columns(report, split_names(arguments.columns)), arguments.format, arguments.to)
    if archive:
        console.print(f"kept in {shown(archive)}", soft_wrap=True)
    return status
