"""Which evaluations can be done: every one is checked before any is done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from attnbench.config.compose import Composer
from attnbench.errors import RunError, UserError
from attnbench.runs.evaluations import Evaluation, settle
from attnbench.runs.folder import RunFolder, shown

Messages = dict[str, list[RunFolder]]
"""Messages, each with the runs that have it."""


@dataclass
class EvaluationPlan:
    """The evaluations to do, each once, and what is wrong.

    Attributes:
        evaluations: by run and settings.
        mistakes: of what was asked for; they keep every evaluation from being done.
        left_out: why runs cannot be used; the others are evaluated.
    """

    evaluations: dict[tuple[Path, str], Evaluation] = field(default_factory=dict)
    mistakes: Messages = field(default_factory=dict)
    left_out: Messages = field(default_factory=dict)

    def note(self, run: RunFolder, error: UserError) -> None:
        """Note what is wrong with a run, or with what is asked of it."""
        messages = self.left_out if isinstance(error, RunError) else self.mistakes
        messages.setdefault(str(error), []).append(run)


def plan_all(
    runs: Sequence[RunFolder],
    combinations: Sequence[list[str]],
    checkpoint: str,
    composer: Composer,
    responses: bool = False,
) -> EvaluationPlan:
    """Check every evaluation before any is done; names and types of all runs before torch is imported.

    Args:
        runs: trained runs.
        combinations: lists of overrides, each applied to every run.
        checkpoint: `last` or `best`.
        composer: composes the runs' configurations.
        responses: whether the responses of stages are measured too.
    """
    plan = EvaluationPlan()
    for run, overrides in product(runs, combinations):
        try:
            evaluation = settle(run, checkpoint, composer, overrides, responses)
            plan.evaluations.setdefault((run.path, evaluation.key), evaluation)
        except UserError as error:
            plan.note(run, error)
    if not plan.mistakes:
        _check_all(plan)
    return plan


def _check_all(plan: EvaluationPlan) -> None:
    """Check data, network and checkpoint of each evaluation; those that cannot be done are left out of the plan."""
    from attnbench.training.evaluate import check

    for key, evaluation in list(plan.evaluations.items()):
        try:
            check(evaluation)
        except UserError as error:
            plan.note(evaluation.run, error)
            del plan.evaluations[key]


def lines(messages: Mapping[str, list[RunFolder]]) -> list[str]:
    """Return each message in one line that names its runs, unless it names a file of the run already."""
    return [
        message if message.startswith(f"{shown(runs[0].path)}/") else f"{_names_of(runs)}: {message}"
        for message, runs in messages.items()
    ]


def _names_of(runs: Sequence[RunFolder]) -> str:
    folders = list(dict.fromkeys(shown(run.path) for run in runs))
    return folders[0] if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"
