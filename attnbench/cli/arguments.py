"""Argument parsers of the verbs."""

import argparse
from collections.abc import Sequence
from glob import iglob
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from attnbench.errors import UserError, nearest

if TYPE_CHECKING:
    from attnbench.runs.evaluations import Evaluation
    from attnbench.runs.folder import RunFolder
    from attnbench.runs.sweeps import SweepFolder
    from attnbench.training.trained_run import TrainedRun


class Parser(argparse.ArgumentParser):
    """An argument parser that raises `UserError`, so that mistakes in flags end in one line like all others."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; see {self.prog} --help")

    def parse_intermixed_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """Parse words, some of them overrides. Raises `UserError`, with a hint for a flag that does not exist."""
        words = args or ()
        for place, word in enumerate(words):
            flag, equals, value = word.partition("=")
            if flag.startswith("--") and flag != "--" and flag not in self._option_string_actions:
                self.error(f"{flag}: no such flag{self._hint(flag, value if equals else _value(words[place + 1 :]))}")
        return super().parse_intermixed_args(words, namespace)

    def _hint(self, flag: str, value: str) -> str:
        """Return a hint at the flag or the key that was probably meant: `--seed 3` is written `seed=3`."""
        name = flag.removeprefix("--").replace("-", "_")
        key = _likely_key(name)
        written = f"; a key is written without dashes: {key}={value}" if key else ""
        flags = list(self._option_string_actions)
        if key and key.rpartition(".")[2] == name and not any(known.startswith(flag) for known in flags):
            return written
        return nearest(flag, flags) or written


def _value(words: Sequence[str]) -> str:
    """Return the word after a flag if it can be its value."""
    return words[0] if words and "=" not in words[0] and not words[0].startswith("-") else "…"


def _likely_key(name: str) -> str | None:
    from attnbench.config.compose import compose
    from attnbench.config.schema import flatten
    from attnbench.config.validate import likely_keys

    config = compose()
    known = list(flatten(config.values))
    keys = [name] if name in known or name in config.choices else likely_keys(name, known, [*config.values])
    return keys[0] if keys else None


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
    parser.add_argument("--output", default="outputs")
    parser.add_argument("-cd", "--config-dir")
    parser.add_argument("--trust", action="append", default=[])
    return parser


LOCATION = "data.root="


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
    parser.add_argument("--output", default="outputs")
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
    verb: str, words: Sequence[str], output: str = "outputs", needed: bool = True
) -> tuple[list[str], list[str], Path]:
    """Split words into names of runs, overrides, and the output folder, which `output=DIR` names.

    A word without an equals sign is a name; so is one with an equals sign if a file or folder of that name exists.

    Raises:
        UserError: no run is named, although one is needed.
    """
    from attnbench.config.overrides import parse_single

    names = [word for word in words if is_name(word)]
    if needed and not names:
        raise UserError(f"attnbench {verb}: name a run: its folder, the start of its hash, or a pattern in quotes")
    outputs = [parse_single(word).value() for word in words if word not in names and word.startswith("output=")]
    overrides = [word for word in words if word not in names and not word.startswith("output=")]
    return names, overrides, Path(str(outputs[-1] if outputs else output)).expanduser()


def is_name(word: str) -> bool:
    """Return whether a word names files rather than a key's value: it has no equals sign, or there are such files."""
    return "=" not in word or Path(word).exists() or next(iglob(word), None) is not None  # noqa: PTH207


def wants_help(words: Sequence[str]) -> bool:
    """Return whether the words ask for help."""
    return "-h" in words or "--help" in words
