"""attnbench explain: draw what trained runs see in images, and measure it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import run_parser, runs_alone, split_engine, wants_help
from attnbench.cli.detections import DETECTION
from attnbench.cli.for_each import for_each
from attnbench.cli.help import EXPLAIN
from attnbench.cli.output import print_message
from attnbench.cli.parser import refuse
from attnbench.cli.plan_evaluations import EvaluationPlan, lines
from attnbench.cli.wrap import print_help
from attnbench.config.compose import Composer
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_INPUT
from attnbench.plain_text import plain
from attnbench.runs.evaluations import PLAIN_SETTINGS, Evaluation, settle
from attnbench.runs.explanations import Request
from attnbench.runs.folder import RunFolder
from attnbench.runs.lookup import find
from attnbench.runs.predictions import PICKS

if TYPE_CHECKING:
    from attnbench.explain.scored_run import Found
    from attnbench.explain.session import ExplainSession
    from attnbench.training.trained_run import LoadedRun

IMAGES = 8
"""Test images that are explained by default."""


def main(words: Sequence[str]) -> int:
    """Explain runs, write the pictures and the scores, print where they are, and return the exit status."""
    if wants_help(words):
        print_help(EXPLAIN)
        return DONE
    arguments = _parse(words)
    named = runs_alone("explain", arguments, engines=True)
    location, where = split_engine(named.overrides)
    folders, unknown = find(named.names, named.output)
    composer = Composer(arguments.config_dir, trusted=named.trusted)
    elsewhere = composer.compose(where) if where else None
    runs: list[LoadedRun] = []
    plan = EvaluationPlan()
    if not unknown:
        runs, plan = load_all(folders, arguments.checkpoint, composer, location)
    mistakes, left_out = [*unknown, *lines(plan.mistakes)], lines(plan.left_out)
    if mistakes or not runs:
        for mistake in [*mistakes, *left_out]:
            print_message(mistake)
        return WRONG_INPUT
    for reason in left_out:
        print_message(f"left out: {reason}")
    session = _session(runs, arguments, named.output)
    if elsewhere is None:
        found, status = find_here(session)
    else:
        from attnbench.cli.explain_jobs import find_elsewhere

        found, status = find_elsewhere(session, elsewhere, named.output)
    for line in session.lines(found) if found else ():
        print(plain(line, keep=""), flush=True)
    return max(status, FAILED) if left_out else status


def find_here(session: "ExplainSession") -> "tuple[list[Found], int]":
    """Explain the runs of a session one after the other; of several, one that fails does not stop the others.

    Returns:
        What was found, without runs that failed and empty if it was interrupted; and the exit status.

    Raises:
        UserError: the only run cannot be explained.
    """
    if len(session.runs) == 1:
        return session.find(), DONE
    numbers = {run.folder: number for number, run in enumerate(session.runs)}
    found: list[Found] = []

    def find_one(evaluation: Evaluation) -> None:
        found.append(session.find_one(numbers[evaluation.run.path]))

    status = for_each([run.evaluation for run in session.runs], find_one, "explaining", "explanations")
    if status == INTERRUPTED:
        return [], status
    return found, status if found else WRONG_INPUT


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = run_parser("explain", several=True)
    parser.add_argument("--images", type=int)
    parser.add_argument("--image", action="append", default=[])
    parser.add_argument("--pick", choices=PICKS)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--class", dest="target")
    parser.add_argument("--layers", default="")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--faithfulness", action="store_true")
    parser.add_argument("--to")
    arguments = parser.parse_intermixed_args(words)
    if arguments.image:
        refuse(arguments, ("images", "pick", "seed"), "chooses test images, and --image names files in their place")
    if arguments.images is not None and arguments.images < 1:
        raise UserError(f"--images {arguments.images}: must be at least 1")
    if arguments.seed is not None and arguments.seed < 0:
        raise UserError(f"--seed {arguments.seed}: must not be negative")
    return arguments


def load_all(
    folders: Sequence[RunFolder], checkpoint: str, composer: Composer, overrides: Sequence[str]
) -> tuple[list["LoadedRun"], EvaluationPlan]:
    """Load runs, of detectors or of classifiers. Return them, and what is wrong with those that cannot be loaded."""
    evaluations, plan = [], EvaluationPlan()
    for folder in folders:
        try:
            evaluations.append(settle(folder, checkpoint, composer, [*PLAIN_SETTINGS, *overrides]))
        except UserError as error:
            plan.note(folder, error)
    if plan.mistakes or not evaluations:
        return [], plan
    from attnbench.detection.trained_run import DetectorRun
    from attnbench.training.trained_run import LoadedRun, TrainedRun, task_of

    detectors = all(task_of(evaluation) == DETECTION for evaluation in evaluations)
    kind: type[LoadedRun] = DetectorRun if detectors else TrainedRun
    runs: list[LoadedRun] = []
    for evaluation in evaluations:
        try:
            runs.append(kind(evaluation))
        except UserError as error:
            plan.note(evaluation.run, error)
    return runs, plan


def _session(runs: Sequence["LoadedRun"], arguments: argparse.Namespace, output: Path) -> "ExplainSession":
    from attnbench.detection.explain import DetectorSession
    from attnbench.detection.trained_run import DetectorRun
    from attnbench.explain.session import Session
    from attnbench.training.trained_run import TrainedRun

    given: dict[str, Any] = {
        "images": arguments.images or IMAGES,
        "files": tuple(Path(name).expanduser() for name in arguments.image),
        "pick": arguments.pick or "random",
        "seed": arguments.seed or 0,
        "target": arguments.target,
        "layers": _listed(arguments.layers),
        "methods": _listed(arguments.method),
        "faithfulness": arguments.faithfulness,
        "checkpoint": arguments.checkpoint,
    }
    place = Path(arguments.to).expanduser() if arguments.to else output / "explanations"
    request, detectors = Request(**given), [run for run in runs if isinstance(run, DetectorRun)]
    if detectors:
        return DetectorSession(detectors, request, place)
    return Session([run for run in runs if isinstance(run, TrainedRun)], request, place)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
