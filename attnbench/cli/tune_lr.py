"""attnbench tune-lr: look for a learning rate by a short training in which it rises. Nothing is recorded."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnbench.cli.arguments import override_parser, wants_help
from attnbench.cli.help import TUNE_LR
from attnbench.cli.wrap import print_help
from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    from attnbench.training.lr_range import RangeTest

STEPS = 100
RANGE = (1e-3, 100.0)
"""The default range of rates, in multiples of `recipe.lr`."""


def main(words: Sequence[str]) -> int:
    """Do a range test, say which rate it suggests, write its curve, and return the exit status."""
    if wants_help(words):
        print_help(TUNE_LR)
        return DONE
    arguments = parse(words)
    config = compose(arguments.overrides, arguments.config_dir, arguments.config_name)

    from attnbench.cli.views.range_test import write_curve
    from attnbench.runs.files import shown
    from attnbench.runs.identity import readable_name
    from attnbench.training.experiment import Experiment
    from attnbench.training.lr_range import range_test
    from attnbench.training.plan import check

    experiment = check(Experiment(config))
    if experiment.options.devices > 1:
        raise UserError("attnbench tune-lr trains on one device: leave out trainer.devices")
    low, high = (factor * config["recipe"]["lr"] for factor in RANGE)
    found = range_test(experiment, arguments.lowest or low, arguments.highest or high, arguments.steps)
    for line in describe(found):
        print(line)
    files = write_curve(found, experiment.output / "tune-lr", readable_name(config))
    print(f"curve: {', '.join(map(shown, files))}")
    return DONE if found.suggestion is not None else FAILED


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Raises `UserError`."""
    parser = override_parser("tune-lr")
    parser.add_argument("--from", dest="lowest", type=_rate)
    parser.add_argument("--to", dest="highest", type=_rate)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_intermixed_args(words)
    if arguments.multirun:
        raise UserError("attnbench tune-lr looks at one configuration: leave out -m")
    return arguments


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: must be a positive number")
    return rate


def describe(found: "RangeTest") -> list[str]:
    """Return in a few lines what was tried and which rate it suggests."""
    first, last = found.rates[0], found.rates[-1]
    reason = "" if found.complete else "; ended there, as the loss had risen"
    tried = f"{len(found.rates)} steps of {found.images} images, rates from {first:.2g} to {last:.2g}{reason}"
    if found.suggestion is None:
        return [tried, "no suggestion: the loss never fell; try other bounds (--from, --to) or more --steps"]
    steepest, lowest = f"{found.suggestion:.2g}", f"{found.lowest_at:.2g}"
    return [tried, f"suggestion: recipe.lr={steepest}, where the loss falls most steeply; it is lowest at {lowest}"]
