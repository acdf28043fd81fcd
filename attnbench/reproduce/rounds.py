"""Rounds of seeds until a table's claims are decided: what is known now, what comes next, and where the time went."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from attnbench.launch.scheduler import Task
from attnbench.reproduce.budget import Costs, PlannedRun
from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.decisions import Limits, Round, plan
from attnbench.reproduce.estimate import epochs_left, seconds_per_run
from attnbench.reproduce.prospects import Prospect, prospect
from attnbench.reproduce.questions import questions
from attnbench.reproduce.states import RunStates
from attnbench.runs.folder import Job
from attnbench.tables.report_inputs import ReportInputs
from attnbench.tables.results.values import Key


@dataclass(frozen=True)
class Look:
    """What is known after a round: finished seeds by kind of runs, and what becomes of each claim."""

    done: Mapping[str, frozenset[int]]
    prospects: tuple[Prospect, ...]


class Rounds:
    """The rounds of a table. The budget counts from the moment that this is made.

    Args:
        reproduction: of the table.
        jobs: by cell; of all seeds below `limits.most`.
        limits: what may be used.
        slots: how many runs at a time.
    """

    def __init__(
        self, reproduction: TableReproduction, jobs: Mapping[Key, list[Job]], limits: Limits, slots: int
    ) -> None:
        self.reproduction, self.jobs, self.limits, self.slots = reproduction, jobs, limits, slots
        self.kinds = {key: cell_jobs[0].identity for key, cell_jobs in jobs.items()}
        self.by_run = {
            PlannedRun(job.identity, job.config["seed"]): job for cell_jobs in jobs.values() for job in cell_jobs
        }
        self.started = time.monotonic()
        self.durations: dict[PlannedRun, float] = {}
        self.overheads: list[float] = []
        self.resumed: set[PlannedRun] = set()
        self.tried: set[PlannedRun] = set()
        self.failures: list[str] = []

    def look(self) -> Look:
        """Read the results that there are."""
        states = RunStates(self.reproduction, self.jobs)
        seeds: dict[str, set[int]] = {kind: set() for kind in self.kinds.values()}
        for run, job in self.by_run.items():
            if states.has_result(job):
                seeds[run.kind].add(run.seed)
        done = {kind: frozenset(numbers) for kind, numbers in seeds.items()}
        reproduction = self.reproduction
        inputs = ReportInputs(reproduction.table, reproduction.profile, reproduction.results(), costs={})
        asked, blocked = questions(inputs, self.kinds), self.blocked(done)
        return Look(done, tuple(prospect(each, done, self.limits.most, blocked) for each in asked))

    def blocked(self, done: Mapping[str, frozenset[int]]) -> set[str]:
        """Return the kinds of runs that were tried and have no result: they failed."""
        return {run.kind for run in self.tried if run.seed not in done[run.kind]}

    def plan(self, look: Look) -> Round:
        """Plan the next round; it has no runs if nothing is left to do, or nothing fits into the budget."""
        costs = self.costs()
        self.resumed.update(costs.begun)
        return plan(look.prospects, look.done, self.limits, costs, self.left, self.blocked(look.done))

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds that are left of the budget."""
        return float("inf") if self.limits.budget is None else self.limits.budget - self.spent

    def costs(self) -> Costs:
        """Return what runs cost: as measured since the start, otherwise as in earlier runs or in a few steps."""
        whole: dict[str, list[float]] = {}
        for run in self.durations.keys() - self.resumed:
            whole.setdefault(run.kind, []).append(self.durations[run])
        seconds = {**self._first_seconds, **{kind: fmean(values) for kind, values in whole.items()}}
        overhead = fmean(self.overheads) if self.overheads else 0.0
        return Costs(seconds, self.slots, self._begun(seconds), overhead)

    @cached_property
    def _first_seconds(self) -> dict[str, float]:
        seconds, failures = seconds_per_run([cell_jobs[0] for cell_jobs in self.jobs.values()], self.slots)
        self.failures = failures
        return seconds

    def _begun(self, seconds: Mapping[str, float]) -> dict[PlannedRun, float]:
        """Return the seconds that are left of runs that have begun."""
        begun: dict[PlannedRun, float] = {}
        for run, job in self.by_run.items():
            if run.kind in seconds and 0 <= (left := epochs_left(job)) < (planned := job.config["recipe"]["epochs"]):
                begun[run] = seconds[run.kind] * left / planned
        return begun

    def jobs_of(self, planned: Round) -> list[Job]:
        """Return the jobs of a round."""
        return [self.by_run[run] for run in planned.runs]

    def note(self, planned: Round, tasks: Sequence[Task], seconds: float) -> None:
        """Take in how a round went.

        Args:
            planned: the round.
            tasks: with their final states.
            seconds: wall time of the round, with the evaluations after it.
        """
        self.tried.update(planned.runs)
        for task in tasks:
            if task.state in ("finished", "failed", "diverged"):
                run = PlannedRun(task.job.identity, task.job.config["seed"])
                self.durations[run] = task.ended - task.started
        alone = Costs({}, self.slots, self.durations)
        self.overheads.append(max(0.0, seconds - alone.together(planned.runs)))
