"""attnbench stop: stop a sweep, or single runs, so that the same command resumes them."""

from collections.abc import Sequence
from pathlib import Path

from attnbench.cli.arguments import target_parser, targets, wants_help
from attnbench.cli.help import STOP
from attnbench.cli.output import print_message
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED
from attnbench.launch.status import OPEN, status_of_sweep
from attnbench.launch.stop import stop_runs, stop_sweep
from attnbench.plain_text import plain
from attnbench.runs.files import readable, shown
from attnbench.runs.sweeps import SweepFolder, find_sweeps


def main(words: Sequence[str]) -> int:
    """Stop what is named, by default the one sweep that is under way, say what was stopped; return the exit status."""
    if wants_help(words):
        print_help(STOP)
        return DONE
    named = targets("stop", target_parser("stop").parse_intermixed_args(words))
    sweeps = named.sweeps if named.sweeps or named.runs else [_under_way(named.output)]
    results = [stop_sweep(sweep) for sweep in sweeps]
    results += [stop_runs(named.runs, named.output)] if named.runs else []
    for line in (line for result in results for line in result.done):
        print(plain(line, keep=""))
    failures = [line for result in results for line in result.failed]
    for line in failures:
        print_message(line)
    return FAILED if failures else DONE


def _under_way(output: Path) -> SweepFolder:
    """Return the one sweep that is under way. Raises `UserError` if there is none, or several."""
    found = [sweep for sweep in find_sweeps(output) if readable(lambda sweep=sweep: _is_open(sweep), False)]  # type: ignore[misc]
    if not found:
        raise UserError(f"no sweep in {shown(output / 'sweeps')} is under way; name a run to stop it")
    if len(found) > 1:
        raise UserError(f"{len(found)} sweeps are under way: {', '.join(sweep.id for sweep in found)}; name one")
    return found[0]


def _is_open(sweep: SweepFolder) -> bool:
    return sweep.alive() or any(run.state in OPEN for run in status_of_sweep(sweep).runs)
