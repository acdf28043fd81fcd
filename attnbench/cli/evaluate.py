"""attnbench evaluate: test trained runs again, also under other settings."""

import argparse
from collections.abc import Sequence
from itertools import product
from typing import Any

from attnbench.cli.arguments import named_runs, run_parser, wants_help
from attnbench.cli.for_each import for_each
from attnbench.cli.help import EVALUATE
from attnbench.cli.output import print_message
from attnbench.cli.plan_evaluations import EvaluationPlan, lines, plan_all
from attnbench.cli.wrap import print_help
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse, require_single_values
from attnbench.config.sweep import single_overrides
from attnbench.console import make_console
from attnbench.exit_codes import DONE, FAILED, WRONG_INPUT
from attnbench.runs.evaluations import Evaluation, EvaluationEntry, keep
from attnbench.runs.files import to_text
from attnbench.runs.folder import shown
from attnbench.runs.lookup import find
from attnbench.training.distributed import take_world


def main(words: Sequence[str]) -> int:
    """Evaluate runs, print the results, and return the exit status."""
    if wants_help(words):
        print_help(EVALUATE)
        return DONE
    arguments = _parse(words)
    take_world(devices=1)
    named = named_runs("evaluate", arguments)
    composer = Composer(arguments.config_dir, trusted=named.trusted)
    runs, mistakes = find(named.names, named.output)
    combinations = _combinations(named.overrides, composer, arguments.multirun)
    plan = EvaluationPlan()
    if not mistakes:
        plan = plan_all(runs, combinations, arguments.checkpoint, composer, arguments.responses)
    mistakes += lines(plan.mistakes)
    left_out = lines(plan.left_out)
    if mistakes or not plan.evaluations:
        for mistake in [*mistakes, *left_out]:
            print_message(mistake)
        return WRONG_INPUT
    for reason in left_out:
        print_message(f"left out: {reason}")
    results, status = evaluate_all(list(plan.evaluations.values()))
    _show(results, arguments.json)
    return max(status, FAILED) if left_out else status


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("evaluate", several=True)
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--responses", action="store_true")
    parser.add_argument("--json", action="store_true")
    return parser.parse_intermixed_args(words)


def _combinations(overrides: Sequence[str], composer: Composer, several: bool) -> list[list[str]]:
    """Return every combination of the values of overrides. Raises `UserError` if they may not have several, and do."""
    if not several:
        require_single_values(overrides, composer.folders)
        return [list(overrides)]
    parsed = parse(overrides, composer.folders, sweep=True)
    given = (*parsed.choices, *parsed.values, *parsed.hydra)
    return [list(lines) for lines in product(*(single_overrides(override, composer) for override in given))]


def evaluate_all(evaluations: Sequence[Evaluation]) -> tuple[list[tuple[Evaluation, EvaluationEntry]], int]:
    """Do evaluations one after the other and keep their results; a failure of one does not stop the others.

    Returns:
        The evaluations that were done, with their results, and the exit status.
    """
    results: list[tuple[Evaluation, EvaluationEntry]] = []

    def evaluate_one(evaluation: Evaluation) -> None:
        from attnbench.training.evaluate import evaluate

        tested = evaluate(evaluation)
        results.append((evaluation, tested.entry))
        keep(evaluation, tested.entry, tested.predictions)

    return results, for_each(evaluations, evaluate_one, "evaluating", "evaluations")


def _show(results: Sequence[tuple[Evaluation, EvaluationEntry]], as_json: bool) -> None:
    if as_json:
        print(to_text([_json_entry(*result) for result in results], indent=2))
    elif results:
        from attnbench.cli.views.evaluation_table import evaluation_table

        make_console().print(evaluation_table(results))


def _json_entry(evaluation: Evaluation, entry: EvaluationEntry) -> dict[str, Any]:
    of_run = {"identity": evaluation.record.identity, "seed": evaluation.record.seed}
    return {"run": shown(evaluation.run.path), **of_run, "difference": entry.difference, **entry.to_json()}
