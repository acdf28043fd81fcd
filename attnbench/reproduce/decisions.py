"""Plan rounds of seeds: runs go to the rows of claims that are open and may still be decided, within a budget.

Nothing here trains or reads anything: from what is known of claims and runs to the runs of the next round.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from attnbench.reproduce.budget import Costs, PlannedRun
from attnbench.reproduce.prospects import Prospect, QuestionPart, Seeds


@dataclass(frozen=True)
class Limits:
    """What a reproduction may use: seeds that every row gets first, the most that a row may get, seconds if limited."""

    start: int
    most: int
    budget: float | None = None


@dataclass(frozen=True)
class Round:
    """The runs of a round, the longest first, their wall time in seconds, and whether the budget left out others."""

    runs: tuple[PlannedRun, ...] = ()
    seconds: float = 0.0
    cut: bool = False


def plan(
    prospects: Iterable[Prospect],
    done: Seeds,
    limits: Limits,
    costs: Costs,
    left: float,
    blocked: Collection[str] = (),
) -> Round:
    """Plan the next round.

    Until every row has the seeds of the start, it is these; then seeds for open claims.

    Args:
        prospects: of all claims.
        done: finished seeds by kind of runs, in the order of the table.
        limits: of the reproduction.
        costs: of runs.
        left: of the budget, in seconds.
        blocked: kinds of runs that fail; they get no seeds.
    """
    start = plan_start(done, limits.start, costs, left, blocked)
    if start.runs or start.cut:
        return start
    is_open = [each for each in prospects if each.state == "open"]
    return plan_open(is_open, done, limits.most, costs, left, blocked)


def plan_start(done: Seeds, start: int, costs: Costs, left: float, blocked: Collection[str] = ()) -> Round:
    """Plan the seeds below `start` that are missing: of all rows; if these do not fit, one seed after the other."""
    missing = [
        PlannedRun(kind, seed)
        for seed in range(start)
        for kind, seeds in done.items()
        if seed not in seeds and kind not in blocked
    ]
    return _fit([(run,) for run in missing], costs, left)


def plan_open(
    prospects: Iterable[Prospect],
    done: Seeds,
    most: int,
    costs: Costs,
    left: float,
    blocked: Collection[str] = (),
) -> Round:
    """Plan a seed for the rows of open claims, and further seeds as long as slots would be idle.

    A claim gets all runs of its round or none. Claims that are likelier to be decided come first, then cheaper ones.
    """
    counts = {kind: set(seeds) for kind, seeds in done.items()}
    ordered = sorted(prospects, key=lambda each: _rank(each, counts, most, costs))
    bundles: list[tuple[PlannedRun, ...]] = []
    while True:
        added = [next_runs(each, counts, most, blocked) for each in ordered]
        runs = {run for bundle in added for run in bundle}
        bundles += [bundle for bundle in added if bundle]
        for run in runs:
            counts[run.kind].add(run.seed)
        if not runs or len({run for bundle in bundles for run in bundle}) >= costs.slots:
            return _fit(bundles, costs, left)


def next_runs(each: Prospect, done: Seeds, most: int, blocked: Collection[str] = ()) -> tuple[PlannedRun, ...]:
    """Return the next seed of the rows that the parts of a claim that are served need most."""
    kinds = sorted({kind for part in each.served for kind in _neediest(part, done, most, blocked)})
    return tuple(PlannedRun(kind, next_seed(done[kind])) for kind in kinds)


def next_seed(done: Collection[int]) -> int:
    """Return the smallest seed that is missing."""
    return next(seed for seed in range(len(done) + 1) if seed not in done)


def _neediest(part: QuestionPart, done: Seeds, most: int, blocked: Collection[str]) -> list[str]:
    """Return the kinds of a part's runs that have the fewest seeds for their weights: these lower its error most."""
    able = [kind for kind in part.weights if len(done[kind]) < most]
    if not able or part.weights.keys() & set(blocked):
        return []
    share = {kind: len(done[kind]) / abs(part.weights[kind]) for kind in able}
    return [kind for kind in able if share[kind] <= min(share.values())]


def _rank(each: Prospect, done: Seeds, most: int, costs: Costs) -> tuple[float, float, str]:
    """Return what claims are sorted by: falling chance of a verdict (first where it is unknown), time, wording."""
    seconds = sum(map(costs.of, next_runs(each, done, most)))
    return (-1.0 if each.chance is None else -each.chance, seconds, each.question.claim)


def _fit(bundles: Sequence[tuple[PlannedRun, ...]], costs: Costs, left: float) -> Round:
    """Return a round of as many bundles of runs as fit into the seconds that are left, the first ones first."""
    chosen: dict[PlannedRun, None] = {}
    cut = False
    for bundle in bundles:
        wanted = {**chosen, **dict.fromkeys(bundle)}
        if costs.together(wanted) <= left:
            chosen = wanted
        else:
            cut = True
    ordered = sorted(chosen, key=lambda run: (-costs.of(run), run.seed, run.kind))
    return Round(tuple(ordered), costs.together(ordered), cut)


@dataclass(frozen=True)
class Purchase:
    """What a budget buys if no claim is decided before it is spent; `counts` are the seeds by kind of runs then."""

    rounds: int
    runs: int
    seconds: float
    counts: Mapping[str, int]


def forecast(prospects: Sequence[Prospect], done: Seeds, limits: Limits, costs: Costs) -> Purchase:
    """Return what the budget buys if the claims that are open stay so, and no further ones become hopeless."""
    seeds = {kind: set(numbers) for kind, numbers in done.items()}
    left = float("inf") if limits.budget is None else limits.budget
    rounds, runs, seconds = 0, 0, 0.0
    while (planned := plan(prospects, seeds, limits, costs, left - seconds)).runs:
        for run in planned.runs:
            seeds[run.kind].add(run.seed)
        rounds, runs, seconds = rounds + 1, runs + len(planned.runs), seconds + planned.seconds
    return Purchase(rounds, runs, seconds, {kind: len(numbers) for kind, numbers in seeds.items()})
