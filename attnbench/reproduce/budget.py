"""Wall time: how a budget is written, and how long runs take side by side."""

import heapq
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from attnbench.errors import UserError

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
WRITTEN = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True, order=True)
class PlannedRun:
    """A run of a kind. Runs of one kind have the same identity and differ only in their seed."""

    kind: str
    seed: int


@dataclass(frozen=True)
class Costs:
    """What runs cost.

    Attributes:
        seconds: of a run, by kind; runs of other kinds count as free, because nothing is known of them.
        slots: how many run at a time.
        begun: seconds that are left of runs that were interrupted.
        overhead: seconds that a round takes beside its runs.
    """

    seconds: Mapping[str, float]
    slots: int = 1
    begun: Mapping[PlannedRun, float] = field(default_factory=dict)
    overhead: float = 0.0

    def of(self, run: PlannedRun) -> float:
        """Return the seconds of a run."""
        return self.begun.get(run, self.seconds.get(run.kind, 0.0))

    def together(self, runs: Iterable[PlannedRun]) -> float:
        """Return the wall time of a round in seconds: every free slot takes the longest run that waits; 0 if none."""
        durations = sorted(map(self.of, runs), reverse=True)
        if not durations:
            return 0.0
        busy_until = [0.0] * self.slots
        for seconds in durations:
            heapq.heapreplace(busy_until, busy_until[0] + seconds)
        return max(busy_until) + self.overhead


def parse_budget(text: str) -> float:
    """Return a time in seconds: "90m", "2h", "1h30m" -> 5400. Raises `UserError`."""
    found = WRITTEN.fullmatch(text.strip())
    amounts = {unit: number for unit, number in found.groupdict().items() if number} if found else {}
    seconds = sum(float(number) * UNITS[unit] for unit, number in amounts.items())
    if not 0 < seconds < math.inf:
        raise UserError(f"--budget {text}: must be a time above 0 such as 90m, 2h or 1h30m")
    return seconds
