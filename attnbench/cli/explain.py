"""attnbench explain: draw what trained runs see in images, and measure it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import run_parser, runs_alone, split_engine, wants_help
from attnbench.cli.detections import DETECTION
from attnbench.cli.help import EXPLAIN
from attnbench.cli.output import print_message
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.config.compose import Composer
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, WRONG_INPUT
from attnbench.plain_text import plain
from attnbench.runs.evaluations import PLAIN_SETTINGS, settle
from attnbench.runs.explanations import Request
from attnbench.runs.folder import RunFolder, shown
from attnbench.runs.lookup import find
from attnbench.runs.predictions import PICKS

if TYPE_CHECKING:
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
    folders, mistakes = find(named.names, named.output)
    composer = Composer(arguments.config_dir, trusted=named.trusted)
    elsewhere = composer.compose(where) if where else None
    runs: list[LoadedRun] = []
    if not mistakes:
        runs, mistakes = load_all(folders, arguments.checkpoint, composer, location)
    if mistakes:
        for mistake in mistakes:
            print_message(mistake)
        return WRONG_INPUT
    session = _session(runs, arguments, named.output)
    if elsewhere is None:
        found, status = session.find(), DONE
    else:
        from attnbench.cli.explain_jobs import find_elsewhere

        found, status = find_elsewhere(session, elsewhere, named.output)
    for line in session.lines(found) if found else ():
        print(plain(line, keep=""), flush=True)
    return status


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
) -> tuple[list["LoadedRun"], list[str]]:
    """Load runs, of detectors or of classifiers. Return them, and a message for each that cannot be loaded."""
    evaluations, mistakes = [], []
    for folder in folders:
        try:
            evaluations.append(settle(folder, checkpoint, composer, [*PLAIN_SETTINGS, *overrides]))
        except UserError as error:
            mistakes.append(f"{shown(folder.path)}: {error}")
    if mistakes:
        return [], mistakes
    from attnbench.detection.trained_run import DetectorRun
    from attnbench.training.trained_run import LoadedRun, TrainedRun, task_of

    detectors = all(task_of(evaluation) == DETECTION for evaluation in evaluations)
    kind: type[LoadedRun] = DetectorRun if detectors else TrainedRun
    runs: list[LoadedRun] = []
    for evaluation in evaluations:
        try:
            runs.append(kind(evaluation))
        except UserError as error:
            mistakes.append(f"{shown(evaluation.run.path)}: {error}")
    return runs, mistakes


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
    return tuple(part.strip() for part in text.split(",") if part.strip())
