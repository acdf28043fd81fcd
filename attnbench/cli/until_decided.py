"""attnbench reproduce --until-decided: rounds of seeds for claims that are open, and an account of the time."""

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnbench.cli.decision_flags import most_seeds
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, INTERRUPTED
from attnbench.runs.folder import Job
from attnbench.tables.results.values import Key

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.reproduce.campaign import TableReproduction
    from attnbench.reproduce.decisions import Round
    from attnbench.reproduce.rounds import Look, Rounds


def until_decided(
    reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]], arguments: argparse.Namespace, console: "Console"
) -> int:
    """Run rounds of seeds until claims are decided or hopeless, or the budget is spent; returns the exit status.

    Args:
        reproduction: of the table.
        jobs: by cell, of all seeds that a row may get.
        arguments: of the command line.
        console: where plans and progress are shown.

    Raises:
        UserError: the table makes no claims.
    """
    from attnbench.cli.sweep import slots_for
    from attnbench.cli.views.rounds import print_account, print_forecast
    from attnbench.reproduce.decisions import Limits
    from attnbench.reproduce.rounds import Rounds

    if not reproduction.table.claims:
        raise UserError(f"--until-decided: {reproduction.table.name} makes no claims")
    limits = Limits(arguments.seeds, most_seeds(arguments), arguments.budget)
    slots = arguments.jobs or slots_for([job for cell_jobs in jobs.values() for job in cell_jobs])
    rounds = Rounds(reproduction, jobs, limits, slots)
    look = begin(rounds, console)
    if arguments.dry_run:
        print_forecast(rounds, look, console)
        return DONE
    status, look = run_rounds(rounds, look, console)
    if status != INTERRUPTED:
        print_account(rounds, look, console)
    return status


def begin(rounds: "Rounds", console: "Console") -> "Look":
    """Print the states of the runs that exist or that the start needs, and the limits; return what is known."""
    from attnbench.cli.reproduce import print_states
    from attnbench.formatting import duration

    look, limits = rounds.look(), rounds.limits
    first = {
        key: [job for job in cell_jobs if job.config["seed"] in {*range(limits.start), *look.done[job.identity]}]
        for key, cell_jobs in rounds.jobs.items()
    }
    print_states(rounds.reproduction, first, console)
    budget = "no budget" if limits.budget is None else f"a budget of {duration(limits.budget)}, counted from now"
    console.print(f"until decided: {limits.start} to {limits.most} seeds a row, {budget}", soft_wrap=True)
    with console.status("measuring a few steps of each kind of run"):
        rounds.costs()
    for failure in rounds.failures:
        console.print(f"the plan leaves out the time of runs whose steps fail: {failure}", soft_wrap=True)
    return look


def run_rounds(rounds: "Rounds", look: "Look", console: "Console") -> tuple[int, "Look"]:
    """Run rounds until one is empty; returns the exit status and what is known at the end."""
    from attnbench.cli.views.rounds import print_plan

    status, number = DONE, 0
    while (planned := rounds.plan(look)).runs:
        number += 1
        print_plan(number, rounds, look, planned, console)
        ended, evaluated = run_round(rounds, planned, console)
        status = max(status, ended, evaluated)
        if INTERRUPTED in (ended, evaluated):
            return INTERRUPTED, look
        look = rounds.look()
        if evaluated != DONE:
            console.print("no further round, because an evaluation failed", soft_wrap=True)
            break
    return status, look


def run_round(rounds: "Rounds", planned: "Round", console: "Console") -> tuple[int, int]:
    """Run a round, and the evaluations and explanations that its runs need; returns the exit statuses of both."""
    from attnbench.cli.evaluate import evaluate_all
    from attnbench.cli.reproduce import explain_missing, run_labels
    from attnbench.cli.sweep import run_jobs, tally
    from attnbench.reproduce.evaluations import missing_evaluations

    began = time.monotonic()
    labels = run_labels(rounds.reproduction, rounds.jobs)
    tasks, status = run_jobs(rounds.jobs_of(planned), console, rounds.slots, labels)
    console.print(tally(tasks), soft_wrap=True)
    if status == INTERRUPTED:
        return status, DONE
    evaluated = evaluate_all(missing_evaluations(rounds.reproduction, rounds.jobs))[1]
    evaluated = max(evaluated, explain_missing(rounds.reproduction, rounds.jobs, console))
    rounds.note(planned, tasks, time.monotonic() - began)
    return status, evaluated
