"""Explain the runs of a table: the scores that its columns show, and the picture beside it."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from attnbench.cli.for_each import for_each
from attnbench.plain_text import plain
from attnbench.runs.evaluations import Evaluation
from attnbench.runs.explanations import Request


def explain_all(runs: Sequence[Evaluation], request: Request, labels: Mapping[str, str], console: Console) -> int:
    """Score the maps of runs, keep the scores, and print a line for each run; return the exit status.

    Args:
        runs: trained runs.
        request: what is asked of them.
        labels: their names, by identity.
        console: to print to.
    """

    def explain_one(run: Evaluation) -> None:
        from attnbench.explain.scored_run import score_run
        from attnbench.training.trained_run import TrainedRun

        name = f"{labels[run.record.identity]} seed={run.record.seed}"
        console.print(plain(score_run(TrainedRun(run), request, name), keep=""), soft_wrap=True, markup=False)

    return for_each(runs, explain_one, "explaining", "explanations")
