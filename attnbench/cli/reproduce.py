"""attnbench reproduce: run what is missing of a paper's table, and print it beside the paper's numbers."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from attnbench.cli.arguments import Parser, wants_help
from attnbench.cli.help import REPRODUCE
from attnbench.cli.table import add_output, form_of, require_place, show
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, INTERRUPTED, WRONG_INPUT
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.tables.cell_configs import key_of
from attnbench.tables.values import Key

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.reproduce.campaign import TableReproduction

STATES = ("done", "partial", "missing", "failed", "running", "damaged")


def main(words: Sequence[str]) -> int:
    """Reproduce a table; returns the exit status."""
    if wants_help(words):
        print(REPRODUCE)
        return DONE
    arguments = parse(words)
    from attnbench.console import make_console
    from attnbench.launch.processes import warm_up
    from attnbench.reproduce.campaign import TableReproduction

    campaign = TableReproduction.open(arguments.table, arguments.profile, arguments.overrides, arguments.config_dir)
    warm_up()
    seeds = list(range(arguments.seeds))
    jobs, refusals = campaign.jobs(seeds)
    if refusals and not (tolerant(campaign) and jobs):
        for refusal in refusals:
            print(f"attnbench: {refusal}", file=sys.stderr)
        if any(cell.config for cell in campaign.cells.values()):
            print("attnbench: nothing was started; sweep.skip_invalid=true leaves these out", file=sys.stderr)
        return WRONG_INPUT
    if not jobs:
        raise UserError(f"{arguments.table}: nothing in it can be run: {next(iter(campaign.cells.values())).reason}")
    console = make_console()
    for refusal in refusals:
        console.print(f"attnbench: left out: {refusal}", soft_wrap=True, markup=False)
    status = carry_out(campaign, jobs, arguments, console)
    if status == INTERRUPTED or arguments.dry_run:
        return status
    return report(campaign, jobs, arguments, console, status)


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises `UserError`."""
    parser = Parser(prog="attnbench reproduce", add_help=False, allow_abbrev=False)
    parser.add_argument("table", nargs="?")
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int)
    parser.add_argument("--dry-run", action="store_true")
    add_output(parser)
    arguments = parser.parse_intermixed_args(words)
    if arguments.table is None or "=" in arguments.table:
        raise UserError("attnbench reproduce: name a table; attnbench list paper tells which there are")
    form_of(arguments.format, arguments.to)
    require_place(arguments.to)
    for flag in ("seeds", "jobs"):
        if (number := getattr(arguments, flag)) is not None and number < 1:
            raise UserError(f"--{flag} {number}: must be at least 1")
    for key in ("seed", "run.again"):
        if any(key_of(word) == key for word in arguments.overrides):
            raise UserError(f"{key}: attnbench reproduce chooses it; --seeds N runs seeds 0 to N-1")
    return arguments


def tolerant(campaign: "TableReproduction") -> bool:
    """Whether cells that cannot be run are to be left out."""
    return any(cell.config["sweep"]["skip_invalid"] for cell in campaign.cells.values() if cell.config)


def carry_out(
    campaign: "TableReproduction", jobs: Mapping[Key, list[Job]], arguments: argparse.Namespace, console: "Console"
) -> int:
    """Tell the jobs' states and the time that they need, and run what is missing; returns the exit status."""
    from attnbench.cli.sweep import run_jobs, slots_for, tally
    from attnbench.formatting import duration
    from attnbench.reproduce.estimate import seconds_left

    every = list({str(job.folder): job for job in chain.from_iterable(jobs.values())}.values())
    states = {job.folder: state_of(job) for job in every}
    says = f"{campaign.table.name}, profile {campaign.profile.name}: {campaign.profile.says}"
    console.print(says, state_table(campaign, jobs), soft_wrap=True)
    missing = [job for job in every if states[job.folder] != "done"]
    counts = ", ".join(f"{n} {name}" for name in STATES if (n := sum(state == name for state in states.values())))
    console.print(f"{len(every)} runs: {counts}", soft_wrap=True)
    if not missing:
        return DONE
    slots = arguments.jobs or slots_for(missing)
    with console.status("measuring a few steps of each kind of run"):
        seconds, failures = seconds_left(missing, slots)
    for failure in failures:
        console.print(f"the time leaves runs out whose steps fail: {failure}", soft_wrap=True, markup=False)
    console.print(f"about {duration(seconds)} for {len(missing)} of them, {slots} at a time", soft_wrap=True)
    if arguments.dry_run:
        return DONE
    tasks, status = run_jobs(missing, console, slots)
    console.print(f"{tally(tasks)}", soft_wrap=True)
    return status


def state_of(job: Job) -> str:
    """How far a run is."""
    state = RunFolder(job.folder).state()
    told = {"finished": "done", "new": "missing", "interrupted": "partial"}
    return told.get(state, state)


def state_table(campaign: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> object:
    """The states of a table's runs, a line a row and a column a column of the table."""
    from attnbench.console import make_table

    table = make_table()
    table.add_column("")
    for column in campaign.table.columns.values():
        table.add_column(column.label)
    for row in campaign.table.rows.values():
        cells = [jobs.get((row.key, column)) for column in campaign.table.columns]
        reasons = (campaign.cells[row.key, column].reason for column in campaign.table.columns)
        told = [states(found) if found else reason or "left out" for found, reason in zip(cells, reasons, strict=True)]
        table.add_row(campaign.table.name_of(row.key), *told)
    return table


def states(jobs: Sequence[Job]) -> str:
    """The states of a cell's runs: `2 done, 1 partial (3/6)`."""
    found = [state_of(job) for job in jobs]
    partial = next((job for job, state in zip(jobs, found, strict=True) if state == "partial"), None)
    told = [f"{found.count(name)} {name}" for name in STATES if name in found]
    return ", ".join(told) + (f" ({RunFolder(partial.folder).epochs()} epochs)" if partial else "")


def report(
    campaign: "TableReproduction",
    jobs: Mapping[Key, list[Job]],
    arguments: argparse.Namespace,
    console: "Console",
    status: int,
) -> int:
    """Test what is to be tested under other settings, print the table and keep it; returns the exit status."""
    from attnbench.cli.evaluate import evaluate_all
    from attnbench.reproduce.archive import keep
    from attnbench.reproduce.evaluations import missing_evaluations

    status = max(status, evaluate_all(missing_evaluations(campaign, jobs))[1])
    results = campaign.results({key: found[0].identity for key, found in jobs.items()})
    sheet = campaign.sheet(results)
    try:
        kept = keep(campaign, results, sheet) if any(result.records for result in results.values()) else None
    except OSError as error:
        raise UserError(f"{shown(campaign.folder)}: results cannot be kept: {error.strerror or error}") from error
    show(sheet, arguments.format, arguments.to)
    if kept:
        console.print(f"kept in {shown(kept)}", soft_wrap=True)
    return status
