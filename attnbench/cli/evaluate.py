"""attnbench evaluate: trained runs' tests, once more or under other settings."""

import json
import sys
import traceback
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from attnbench.cli.arguments import Parser, wants_help
from attnbench.cli.help import EVALUATE
from attnbench.config.compose import Composer
from attnbench.config.overrides import parse, parse_one
from attnbench.config.sweep import single_overrides
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.runs.evaluations import CHECKPOINTS, Evaluation, EvaluationEntry, SaveError, keep, settle
from attnbench.runs.folder import RunFolder, shown
from attnbench.runs.lookup import find


def main(words: Sequence[str]) -> int:
    """Evaluate runs and print the results; returns the exit status."""
    if wants_help(words):
        print(EVALUATE)
        return DONE
    parser = Parser(prog="attnbench evaluate", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("--checkpoint", choices=CHECKPOINTS, default="last")
    parser.add_argument("--responses", action="store_true")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_intermixed_args(words)
    names, overrides, output = told_apart(arguments.words)
    runs, refusals = find(names, output)
    composer = Composer(arguments.config_dir)
    combinations = combined(overrides, composer) if arguments.multirun else [overrides]
    evaluations: list[Evaluation] = []
    if not refusals:
        evaluations, refusals = plan_all(runs, combinations, arguments.checkpoint, composer, arguments.responses)
    if refusals:
        for refusal in refusals:
            print(f"attnbench: {refusal}", file=sys.stderr)
        return WRONG_INPUT
    done, status = evaluate_all(evaluations)
    if arguments.json:
        print(json.dumps([as_json(*one) for one in done], indent=2))
    elif done:
        from attnbench.cli.views.evaluation_table import table_of
        from attnbench.console import make_console

        make_console().print(table_of(done))
    return status


def told_apart(words: Sequence[str]) -> tuple[list[str], list[str], Path]:
    """Names of runs, overrides, and the output folder. What exists is a name, even with an equals sign in it."""
    names = [word for word in words if "=" not in word or Path(word).exists()]
    outputs = [parse_one(word).value() for word in words if word not in names and word.startswith("output=")]
    if not names:
        raise UserError("attnbench evaluate: name a run: its folder, the start of its hash, or a pattern in quotes")
    overrides = [word for word in words if word not in names and not word.startswith("output=")]
    return names, overrides, Path(str(outputs[-1] if outputs else "outputs")).expanduser()


def combined(overrides: Sequence[str], composer: Composer) -> list[list[str]]:
    """Every combination of values, where overrides have several."""
    parsed = parse(overrides, composer.folders, sweep=True)
    given = (*parsed.choices, *parsed.values, *parsed.hydra)
    return [list(lines) for lines in product(*(single_overrides(override, composer) for override in given))]


def plan_all(
    runs: Sequence[RunFolder],
    combinations: Sequence[list[str]],
    checkpoint: str,
    composer: Composer,
    responses: bool = False,
) -> tuple[list[Evaluation], list[str]]:
    """Check every evaluation; those to be done, each once, and each mistake with the runs that it is told of.

    Names and types are checked for all runs before torch is imported.
    """
    evaluations: dict[tuple[Path, str], Evaluation] = {}
    refusals: dict[str, list[RunFolder]] = {}
    for run, overrides in product(runs, combinations):
        try:
            evaluation = settle(run, checkpoint, composer, overrides, responses)
            evaluations.setdefault((run.path, evaluation.key), evaluation)
        except UserError as error:
            refusals.setdefault(str(error), []).append(run)
    if not refusals:
        from attnbench.training.evaluate import check

        for evaluation in evaluations.values():
            try:
                check(evaluation)
            except UserError as error:
                refusals.setdefault(str(error), []).append(evaluation.run)
    return list(evaluations.values()), [f"{_where(told)}: {message}" for message, told in refusals.items()]


def _where(runs: Sequence[RunFolder]) -> str:
    folders = list(dict.fromkeys(shown(run.path) for run in runs))
    return folders[0] if len(folders) == 1 else f"{folders[0]} and {len(folders) - 1} more"


def evaluate_all(evaluations: Sequence[Evaluation]) -> tuple[list[tuple[Evaluation, EvaluationEntry]], int]:
    """Do evaluations one after the other and keep their results; a failure of one does not stop the others."""
    done: list[tuple[Evaluation, EvaluationEntry]] = []
    status, console = DONE, Console(stderr=True)
    try:
        for number, evaluation in enumerate(evaluations, 1):
            folder = shown(evaluation.run.path)
            with console.status(f"evaluating {number} of {len(evaluations)}: {escape(folder)}"):
                failure = _evaluate_one(evaluation, done)
            if failure:
                print(f"attnbench: {folder}: {failure}", file=sys.stderr)
                status = FAILED
    except KeyboardInterrupt:
        said = f"interrupted after {len(done)} of {len(evaluations)} evaluations"
        print(f"attnbench: {said}", file=sys.stderr)
        return done, INTERRUPTED
    return done, status


def _evaluate_one(evaluation: Evaluation, done: list[tuple[Evaluation, EvaluationEntry]]) -> str | None:
    """Add the evaluation and its result to those that are done, and keep it. What went wrong, if anything did."""
    from attnbench.training.evaluate import evaluate

    try:
        entry = evaluate(evaluation)
        done.append((evaluation, entry))
        keep(evaluation, entry)
    except UserError as error:
        return f"failed: {error}"
    except SaveError as error:
        return f"the result could not be kept: {error}"
    except Exception as error:
        if type(error).__name__ != "OutOfMemoryError":
            traceback.print_exc()
        return f"failed: {type(error).__name__}: {error}"
    return None


def as_json(evaluation: Evaluation, entry: EvaluationEntry) -> dict[str, Any]:
    """What is printed of an evaluation for programs."""
    named = {"identity": evaluation.record.identity, "seed": evaluation.record.seed}
    return {"run": shown(evaluation.run.path), **named, "difference": entry.difference, **entry.to_json()}
