#!/usr/bin/env python
"""Inject faults into real runs, one after another, and count what became of them.

    python scripts/inject_faults.py                                  # every fault at 20 operations of a single run
    python scripts/inject_faults.py --faults kill --count 1000       # a kill at every operation
    python scripts/inject_faults.py --command sweep --faults kill kill-all
    python scripts/inject_faults.py --faults twice random --count 50

After each fault the same command is given again, and its result is compared, bit by bit, with that of an undisturbed
one. Exit status 1 if any result was lost, repeated, or answered by a traceback.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.faults.campaign import SINGLE, SWEEP, Campaign, Counts, prepare_folder
from tests.faults.children import Forked, Started

COMMANDS: dict[str, Callable[[Path], Campaign]] = {
    "single": lambda folder: Campaign.prepare(SINGLE, Forked, folder),
    "folder": prepare_folder,
    "sweep": lambda folder: Campaign.prepare(SWEEP, Started, folder),
}
AT_OPERATIONS = {"kill": "kill", "kill-all": "kill-all", "full": "full", "INT": "2", "TERM": "15", "HUP": "1"}
LONGEST_SECONDS = {"single": 2.0, "folder": 2.0, "sweep": 10.0}
"""Time within which kills at random times are drawn."""


def inject(campaign: Campaign, fault: str, count: int, seconds: float, generator: random.Random) -> Counts:
    """Inject a fault at most `count` times, and return what became of it."""
    counts = Counts()
    if fault in AT_OPERATIONS:
        for number in campaign.draw(count, generator):
            campaign.inject(f"{AT_OPERATIONS[fault]} {number}", counts)
    else:
        for _ in range(count):
            after = generator.uniform(0, seconds)
            if fault == "twice":
                campaign.run_twice_at_once(after, counts)
            else:
                campaign.kill_after(after, fault == "random", counts)
    return counts


def main() -> int:
    """Run the campaign that the command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--command", choices=COMMANDS, default="single")
    faults = [*AT_OPERATIONS, "random", "random-first", "twice"]
    parser.add_argument("--faults", nargs="+", choices=faults, default=[*AT_OPERATIONS, "random", "twice"])
    parser.add_argument("--count", type=int, default=20, help="how often each fault is injected, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of operations and times")
    arguments = parser.parse_args()
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fault") as folder:
        campaign = COMMANDS[arguments.command](Path(folder))
        print(f"{arguments.command}: {len(campaign.operations)} operations on files", flush=True)
        for fault in arguments.faults:
            generator = random.Random(f"{arguments.seed} {fault}")
            counts = inject(campaign, fault, arguments.count, LONGEST_SECONDS[arguments.command], generator)
            print(f"  {fault}: {counts}", flush=True)
            print("".join(f"    {problem}\n" for problem in counts.problems), end="", flush=True)
            problems += counts.problems
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
