"""Argument parsers of the verbs."""

import argparse
from collections.abc import Sequence
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from attnbench.cli.parser import Parser
from attnbench.errors import UserError, nearest

if TYPE_CHECKING:
    from attnbench.runs.evaluations import Evaluation
    from attnbench.runs.folder import RunFolder
    from attnbench.runs.sweeps import SweepFolder
    from attnbench.training.trained_run import TrainedRun

LOCATION, OUTPUT = "data.root=", "output="
"""Beginnings of overrides that say where a run's data and the runs are."""
OUTPUT_FOLDER = "outputs"


def make_parser(verb: str) -> Parser:
    """Return a parser without arguments; each verb prints its own help."""
    return Parser(prog=f"attnbench {verb}", add_help=False, allow_abbrev=False)


def override_parser(verb: str) -> Parser:
    """Return a parser for `[OVERRIDE ...]`, `-m`, `--config-dir` and `--config-name`."""
    parser = make_parser(verb)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("-cn", "--config-name")
    return parser


def wants_sweep(arguments: argparse.Namespace) -> bool:
    """Return whether the arguments of an `override_parser` ask for a sweep, by `-m` or by an experiment that is one.

    Raises:
        UserError: they do not, and a key has several values.
    """
    from attnbench.config.sweep import is_sweep

    return arguments.multirun or is_sweep(arguments.overrides, arguments.config_dir, arguments.config_name)


def run_parser(verb: str, several: bool = False) -> Parser:
    """Return a parser for RUN and the flags that say where and how it is loaded.

    Args:
        verb: of attnbench.
        several: whether it takes runs and overrides in any order, which `named_runs` reads, and not one run, which
            `loaded` loads.
    """
    from attnbench.runs.evaluation_entry import CHECKPOINTS

    parser = make_parser(verb)
    if several:
        parser.add_argument("words", nargs="*")
    else:
        parser.add_argument("run", metavar="RUN")
    parser.add_argument("--checkpoint", choices=CHECKPOINTS, default="last")
    parser.add_argument("--output", default=None if several else OUTPUT_FOLDER)
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("--trust", action="append", default=[])
    return parser


def split_location(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split `data.root=DIR`, which says where a run's data is today, from the other words, and return it last."""
    return [word for word in words if not word.startswith(LOCATION)], [w for w in words if w.startswith(LOCATION)]


def loaded(arguments: argparse.Namespace, location: Sequence[str]) -> "TrainedRun":
    """Load the classifier that the arguments of a `run_parser` name. Raises `UserError`."""
    from attnbench.training.trained_run import TrainedRun

    return TrainedRun(settled(arguments, location))


def settled(arguments: argparse.Namespace, location: Sequence[str]) -> "Evaluation":
    """Find the run that the arguments of a `run_parser` name, and what it is loaded from. Raises `UserError`."""
    from attnbench.training.trained_run import settle_one

    return settle_one(
        arguments.run, arguments.checkpoint, arguments.output, arguments.config_dir, arguments.trust, location
    )


class NamedRuns(NamedTuple):
    """What the words and flags of a verb that takes several runs say.

    Attributes:
        names: of runs.
        overrides: of their configuration.
        output: the folder that holds `runs`.
        trusted: packages whose classes the runs may name.
    """

    names: list[str]
    overrides: list[str]
    output: Path
    trusted: list[str]


def named_runs(verb: str, arguments: argparse.Namespace) -> NamedRuns:
    """Read the words of a `run_parser` of several runs; `trust=PACKAGE` is `--trust PACKAGE`. Raises `UserError`."""
    names, overrides, output = split_words(verb, arguments.words, arguments.output)
    packages = [word.removeprefix("trust=") for word in overrides if word.startswith("trust=")]
    others = [word for word in overrides if not word.startswith("trust=")]
    return NamedRuns(names, others, output, [*arguments.trust, *packages])


ENGINE_KEYS = ("launch", "sweep.jobs")
"""Keys that say where runs are done, and how many at a time; `launch` has options."""


def split_engine(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split words that say where runs are done from the others, and return them last."""
    chosen = [word for word in words if word.partition("=")[0] in ENGINE_KEYS or word.startswith("launch.")]
    return [word for word in words if word not in chosen], chosen


def runs_alone(verb: str, arguments: argparse.Namespace, engines: bool = False) -> NamedRuns:
    """Read the words of a verb that takes runs as they are, wherever their data is today.

    Args:
        verb: of attnbench.
        arguments: of its command line.
        engines: whether `launch`, its options and `sweep.jobs` may be among the overrides.

    Raises:
        UserError: there are other overrides than these, `data.root` and `output`.
    """
    named = named_runs(verb, arguments)
    others, _ = split_location(split_engine(named.overrides)[0] if engines else named.overrides)
    if others:
        taken = ["data.root", "output", *(ENGINE_KEYS if engines else ())]
        hint = nearest(others[0].partition("=")[0], [*taken, "trust"])
        listed = f"{', '.join(taken[:-1])} and {taken[-1]}"
        raise UserError(f"{others[0]}: attnbench {verb} takes no overrides but {listed}{hint}")
    return named


class Targets(NamedTuple):
    """What the words of a verb that looks after sweeps and runs name.

    Attributes:
        sweeps: named by an id or its start.
        runs: named in any other way.
        output: the folder that holds `sweeps` and `runs`.
    """

    sweeps: list["SweepFolder"]
    runs: list["RunFolder"]
    output: Path


def target_parser(verb: str) -> Parser:
    """Return a parser for `[SWEEP|RUN ...]` and `--output`, whose words `targets` reads."""
    parser = make_parser(verb)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--output")
    return parser


def targets(verb: str, arguments: argparse.Namespace) -> Targets:
    """Read the words of a `target_parser`, of which there may be none.

    Raises:
        UserError: a word names neither, or is an override other than `output=DIR`.
    """
    from attnbench.runs.lookup import find_one
    from attnbench.runs.sweeps import find_sweep

    names, output = names_alone(verb, arguments)
    sweeps = {name: sweep for name in names if (sweep := find_sweep(name, output)) is not None}
    runs = [run for name in names if name not in sweeps for run in find_one(name, output)]
    return Targets(list(sweeps.values()), runs, output)


def names_alone(verb: str, arguments: argparse.Namespace) -> tuple[list[str], Path]:
    """Read the names, of which there may be none, and the output folder from the words of a `target_parser`.

    Raises:
        UserError: a word is an override other than `output=DIR`.
    """
    names, overrides, output = split_words(verb, arguments.words, arguments.output, needed=False)
    if overrides:
        raise UserError(f"{overrides[0]}: attnbench {verb} takes no overrides but output=DIR")
    return names, output


def split_words(
    verb: str, words: Sequence[str], output: str | None = None, needed: bool = True
) -> tuple[list[str], list[str], Path]:
    """Split words into names of runs, overrides, and the output folder, which `output=DIR` names.

    A word without an equals sign is a name; so is one with an equals sign if a file or folder of that name exists.

    Args:
        verb: of attnbench.
        words: of its command line.
        output: the value of `--output`, if it was given.
        needed: whether a run must be named.

    Raises:
        UserError: no run is named, although one is needed, or the output folder is named twice.
    """
    names = [word for word in words if is_name(word)]
    if needed and not names:
        raise UserError(f"attnbench {verb}: name a run: its folder, the start of its hash, or a pattern in quotes")
    keys = [word for word in words if word not in names]
    folder = _output_folder([word for word in keys if word.startswith(OUTPUT)], output)
    return names, [word for word in keys if not word.startswith(OUTPUT)], folder


def _output_folder(words: Sequence[str], output: str | None) -> Path:
    """Return the folder that `output=DIR` or `--output` names. Raises `UserError` if both do, or its name is empty."""
    from attnbench.config.overrides import parse_single
    from attnbench.runs.folder import output_folder

    if words and output is not None:
        raise UserError(f"--output {output}: {words[-1]} names a folder too; leave one of them out")
    return output_folder(str(parse_single(words[-1]).value()) if words else output or OUTPUT_FOLDER)


def is_name(word: str) -> bool:
    """Return whether a word names files rather than a key's value: it has no equals sign, or there are such files."""
    return "=" not in word or Path(word).exists() or next(iglob(word), None) is not None  # noqa: PTH207


def wants_help(words: Sequence[str]) -> bool:
    """Return whether the words ask for help."""
    return "-h" in words or "--help" in words
