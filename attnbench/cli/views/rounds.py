"""Rounds of seeds in words: the plan of a round, what a budget is likely to buy, and where the minutes went."""

import math
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from attnbench.console import make_table
from attnbench.formatting import duration
from attnbench.reproduce.budget import PlannedRun
from attnbench.reproduce.decisions import Purchase, Round, forecast
from attnbench.reproduce.prospects import (
    Prospect,
    QuestionPart,
    Seeds,
    chance_decided,
    grown,
    percent,
    smallest_in_deviations,
)
from attnbench.reproduce.rounds import Look, Rounds
from attnbench.tables.verdicts.claim_words import amount

if TYPE_CHECKING:
    from rich.console import Console


def print_plan(number: int, rounds: Rounds, look: Look, planned: Round, console: "Console") -> None:
    """Print a round's runs and time, and one line per open claim."""
    left = f" of {duration(max(0.0, rounds.left))} left" if math.isfinite(rounds.left) else ""
    cut = "; what does not fit is left out" if planned.cut else ""
    time = f"about {duration(planned.seconds)}{left}{cut}"
    console.print(f"\nround {number}: {count(len(planned.runs), 'run')}, {time}", soft_wrap=True)
    table, costs = make_table(), rounds.costs()
    for heading in ("open claim", "so far", "n", "a seed for", "about"):
        table.add_column(heading, justify="right" if heading in ("n", "about") else "left")
    for each in look.prospects:
        if each.state == "open":
            runs = [run for run in planned.runs if run.kind in each.kinds]
            seconds = duration(sum(map(costs.of, runs))) if runs else "–"
            table.add_row(each.question.claim, so_far(each), str(each.question.n), seeds_for(rounds, runs), seconds)
    console.print(table)
    if others := states_in_words(each for each in look.prospects if each.state != "open"):
        console.print(f"no seeds for: {others}", soft_wrap=True)


def so_far(each: Prospect) -> str:
    """Return a claim's outcome, and the chance that the most seeds would decide it."""
    outcome = each.question.outcome
    return outcome if each.chance is None else f"{outcome}; chance of a verdict {percent(each.chance)}"


def seeds_for(rounds: Rounds, runs: Collection[PlannedRun]) -> str:
    """Return the rows that runs belong to, with the number of seeds where that is not one."""
    counts = Counter(run.kind for run in sorted(runs, key=lambda run: list(rounds.kinds.values()).index(run.kind)))
    return ", ".join(label(rounds, kind) + (f" × {number}" if number > 1 else "") for kind, number in counts.items())


def label(rounds: Rounds, kind: str) -> str:
    """Return the label of the first row with runs of a kind, and of its column if the row has runs of several kinds."""
    row, column = next(key for key, other in rounds.kinds.items() if other == kind)
    table = rounds.reproduction.table
    several = len({other for (name, _), other in rounds.kinds.items() if name == row}) > 1
    return f"{table.name_of(row)} ({table.columns[column].label})" if several else table.name_of(row)


def states_in_words(prospects: Iterable[Prospect]) -> str:
    """Return how many claims are decided or hopeless: `2 decided claims, 1 hopeless claim`."""
    counts = Counter(each.state for each in prospects)
    return ", ".join(count(number, f"{state} claim") for state, number in sorted(counts.items()))


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 run`, `2 runs`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def print_forecast(rounds: Rounds, look: Look, console: "Console") -> None:
    """Print what the budget is likely to buy, and for each open claim what the seeds could show."""
    bought = forecast(look.prospects, look.done, rounds.limits, rounds.costs())
    budget = rounds.limits.budget
    within = "without a budget" if budget is None else f"within {duration(budget)}"
    runs = f"{count(bought.rounds, 'round')} with {count(bought.runs, 'run')} in about {duration(bought.seconds)}"
    console.print(f"{within}, as long as no claim is decided: {runs}", soft_wrap=True)
    table = make_table()
    for heading in ("claim", "so far", "n then", "smallest difference shown", "chance of a verdict"):
        table.add_column(heading, justify="right" if heading == "n then" else "left")
    for each in look.prospects:
        table.add_row(each.question.claim, each.question.outcome, *forecast_cells(rounds, each, look, bought))
    console.print(table)


def forecast_cells(rounds: Rounds, each: Prospect, look: Look, bought: Purchase) -> tuple[str, str, str]:
    """Return what a claim is likely to gain: seeds, the smallest difference that they show, chance of a verdict."""
    if each.state != "open":
        return "", "", each.reason
    chance = chance_decided(each.question, look.done, bought.counts)
    verdict = "not known yet" if chance is None else percent(chance)
    return str(seeds_then(each, bought)), smallest(rounds, each, look.done, bought), verdict


def seeds_then(each: Prospect, bought: Purchase) -> int:
    """Return the seeds of the row with the fewest, of those that get any, once the budget is spent."""
    return min((bought.counts[kind] for kind in each.kinds), default=each.question.n)


def smallest(rounds: Rounds, each: Prospect, done: Seeds, bought: Purchase) -> str:
    """Return the smallest difference that the parts of a claim that get seeds could show, in words."""
    column = rounds.reproduction.table.columns[each.question.column]
    estimates = [(part, grown(part, done, bought.counts)) for part in each.served]
    widths = [estimate.half_width(part.level) for part, estimate in estimates if estimate]
    if len(widths) == len(estimates):
        return amount(column, max(widths)) if math.isfinite(max(widths)) else "none"
    return in_deviations([part for part, _ in estimates], bought)


def in_deviations(parts: Iterable[QuestionPart], bought: Purchase) -> str:
    """Return the smallest difference in standard deviations of a run, as long as nothing is known of these."""
    largest = max(smallest_in_deviations(part, bought.counts) for part in parts)
    return f"{largest:.1f} standard deviations of a run" if math.isfinite(largest) else "none"


def print_account(rounds: Rounds, look: Look, console: "Console") -> None:
    """Print why the rounds ended, and where the minutes went: by row and by claim."""
    console.print(f"\n{why_ended(rounds, look)} after {duration(rounds.spent)}", soft_wrap=True)
    if rounds.durations:
        console.print(rows_table(rounds, look))
    table = make_table()
    for heading in ("claim", "state", "outcome", "n", "runs", "minutes", "why"):
        table.add_column(heading, justify="right" if heading in ("n", "runs", "minutes") else "left")
    for each in look.prospects:
        kinds = {kind for part in each.question.parts for kind in part.weights}
        runs = [run for run in rounds.durations if run.kind in kinds]
        cells = (str(each.question.n), str(len(runs)), minutes(rounds, runs))
        table.add_row(each.question.claim, each.state, each.question.outcome, *cells, each.reason)
    console.print(table)
    console.print("A run counts for each claim that compares it. Minutes are those of the runs, side by side or not.")


def why_ended(rounds: Rounds, look: Look) -> str:
    """Return in words why there is no further round."""
    still_open = [each for each in look.prospects if each.state == "open"]
    if not still_open:
        return "all claims are decided or hopeless"
    if math.isfinite(rounds.left):
        reason = "the budget is spent" if rounds.left <= 0 else "no further round fits into the budget"
        return f"{reason}, with {count(len(still_open), 'open claim')},"
    return f"no runs are left, with {count(len(still_open), 'open claim')},"


def rows_table(rounds: Rounds, look: Look) -> object:
    """Return a table of the rows that got runs: seeds, runs and minutes."""
    table = make_table()
    for heading in ("row", "seeds", "runs now", "minutes"):
        table.add_column(heading, justify="left" if heading == "row" else "right")
    for kind, seeds in look.done.items():
        if runs := [run for run in rounds.durations if run.kind == kind]:
            table.add_row(label(rounds, kind), str(len(seeds)), str(len(runs)), minutes(rounds, runs))
    table.add_row("all", "", str(len(rounds.durations)), minutes(rounds, rounds.durations))
    return table


def minutes(rounds: Rounds, runs: Iterable[PlannedRun]) -> str:
    """Return the minutes of runs: `0.4`."""
    return f"{sum(rounds.durations[run] for run in runs) / 60:.1f}"
