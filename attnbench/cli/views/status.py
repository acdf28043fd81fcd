"""The state of sweeps: a line for each, and a table of their runs, which `watch` keeps up to date."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from attnbench.cli.views.live import SHOWN_AT_MOST
from attnbench.console import make_table
from attnbench.formatting import duration
from attnbench.launch.status import OPEN, WORDS, RunStatus, SweepStatus, in_order

WATCH_SECONDS = 2.0
SWEEPS_SHOWN = 10
NUMBERS = ("epoch", "img/s", "left")
COLUMNS = ("run", "state", *NUMBERS, "why")


def print_status(console: Console, sweeps: Sequence[SweepStatus]) -> None:
    """Print the sweeps and their runs."""
    for line in lines(sweeps):
        console.print(line, soft_wrap=True)
    console.print(table(sweeps))


def watch(console: Console, look: Callable[[], list[SweepStatus]]) -> None:
    """Show what `look` returns until no run is under way or waits, or the user interrupts.

    Where there is no terminal, the lines are printed whenever they change.
    """
    before: list[str] = []
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    try:
        with live or nullcontext():
            while True:
                sweeps = look()
                if live is not None:
                    live.update(Group(*lines(sweeps), table(sweeps)), refresh=True)
                elif before != (now := _counted(sweeps)):
                    print("\n".join(line for line in now if line not in before), flush=True)
                    before = now
                if not any(run.state in OPEN for sweep in sweeps for run in sweep.runs):
                    return
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def lines(sweeps: Sequence[SweepStatus]) -> list[str]:
    """Return a line for each sweep: id, engine, its runs by state, and the time that is left."""
    texts = []
    for sweep, counted in zip(sweeps, _counted(sweeps), strict=True):
        left = sweep.seconds_left
        texts.append(f"{counted}; about {duration(left)} left" if left is not None else counted)
    hidden = len(texts) - SWEEPS_SHOWN
    return texts if hidden <= 0 else [*texts[:SWEEPS_SHOWN], f"… and {hidden} earlier sweeps"]


def _counted(sweeps: Iterable[SweepStatus]) -> list[str]:
    return [f"{_heading(sweep)}: {_counts(sweep)}" for sweep in sweeps]


def _heading(sweep: SweepStatus) -> str:
    if sweep.sweep is None or sweep.record is None:
        return "single runs"
    return f"sweep {sweep.sweep.id} ({sweep.record.engine})"


def _counts(sweep: SweepStatus) -> str:
    return ", ".join(f"{count:,} {WORDS[state]}" for state, count in sweep.counts.items()) or "its runs are above"


def table(sweeps: Sequence[SweepStatus]) -> Table:
    """Build a table of runs, those first that need attention; columns of which nothing is known are left out."""
    shown = in_order(run for sweep in sweeps for run in sweep.runs)
    rows = [(run.name, WORDS[run.state], *_columns(run)) for run in shown[:SHOWN_AT_MOST]]
    filled = [place for place in range(len(COLUMNS)) if any(row[place] for row in rows)]
    result = make_table()
    for place in filled:
        result.add_column(COLUMNS[place], justify="right" if COLUMNS[place] in NUMBERS else "left")
    for row in rows:
        result.add_row(*(row[place] for place in filled))
    if len(shown) > SHOWN_AT_MOST:
        result.add_row(f"… and {len(shown) - SHOWN_AT_MOST:,} more", *("" for _ in filled[1:]))
    return result


def _columns(run: RunStatus) -> tuple[str, str, str, str]:
    """Return epochs, speed, time left and reason, each empty where it is unknown."""
    epochs = f"{run.epochs or 0}/{run.planned or '?'}" if run.epochs is not None or run.state == "running" else ""
    speed = f"{run.images_per_second:,.0f}" if run.images_per_second else ""
    left = duration(run.seconds_left) if run.seconds_left is not None and run.state in OPEN else ""
    return epochs, speed, left, run.reason
