"""attnbench status: the runs of sweeps, under way, waiting and done, from any terminal that sees their folder."""

import json
from collections.abc import Sequence

from attnbench.cli.arguments import Targets, target_parser, targets, wants_help
from attnbench.cli.help import STATUS
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.errors import UserError
from attnbench.exit_codes import DONE
from attnbench.launch.status import SweepStatus, look, status_of_output, status_of_sweep
from attnbench.runs.files import shown


def main(words: Sequence[str]) -> int:
    """Show the state of sweeps and runs, by default of all in an output folder, and return the exit status."""
    if wants_help(words):
        print_help(STATUS)
        return DONE
    parser = target_parser("status")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_intermixed_args(words)
    if arguments.json:
        refuse(arguments, ("watch",), "shows a view that changes, and --json prints once")
    named = targets("status", arguments)
    found = look_at(named)
    if not found:
        raise UserError(f"no runs under {shown(named.output / 'runs')}; attnbench train makes one")
    if arguments.json:
        print(json.dumps([sweep.to_json() for sweep in found], indent=2))
        return DONE
    from attnbench.cli.views.status import print_status, watch
    from attnbench.console import make_console

    if arguments.watch:
        watch(make_console(), lambda: look_at(named))
    else:
        print_status(make_console(), found)
    return DONE


def look_at(named: Targets) -> list[SweepStatus]:
    """Look at the named sweeps and runs, or at everything if none is named. Raises `UserError`."""
    if not named.sweeps and not named.runs:
        return status_of_output(named.output)
    found = [status_of_sweep(sweep) for sweep in named.sweeps]
    alone = [look(run.path) for run in named.runs]
    return found + ([SweepStatus(None, None, False, alone)] if alone else [])
