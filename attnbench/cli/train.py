"""attnbench train: one run, or with -m a sweep."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnbench.cli.arguments import override_parser, wants_help, wants_sweep
from attnbench.cli.help import train_help
from attnbench.cli.output import print_message
from attnbench.cli.parser import refuse
from attnbench.cli.wrap import print_help
from attnbench.config.parametric_names import short_name
from attnbench.config.search_path import search_path
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.exit_codes import DONE, FAILED

if TYPE_CHECKING:
    from rich.console import Console

    from attnbench.training.distributed import World
    from attnbench.training.experiment import Experiment

HYDRAS_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
HYDRA_FLAGS = ("hydra_help", "info", "shell_completion")


def main(words: Sequence[str]) -> int:
    """Train what the overrides say and return the exit status."""
    if wants_help(words):
        print_help(train_help(search_path(_given_config_dir(words))))
        return DONE
    arguments = _parse(words)
    if is_for_hydra(arguments):
        from attnbench.cli.hydra import hand_over

        return hand_over(arguments)
    from attnbench.config.compose import compose

    given = (arguments.overrides, arguments.config_dir, arguments.config_name)
    if arguments.cfg:
        return print_config(compose(*given), arguments.package)
    several = wants_sweep(arguments)
    print_without_effect(arguments.overrides)
    if several:
        from attnbench.cli.sweep import sweep

        return sweep(arguments)
    return train_where_it_says(compose(*given))


def train_where_it_says(config: RunConfig) -> int:
    """Train a single run in this process or, where `launch` says so, elsewhere; returns the exit status."""
    from attnbench.launch.launcher import launcher_of
    from attnbench.runs.sweeps import LOCAL

    launcher = launcher_of([config])
    if launcher.name == LOCAL:
        return train_one(config)
    from attnbench.cli.sweep import run_alone

    return run_alone(config, launcher)


def print_without_effect(overrides: Sequence[str]) -> None:
    """Say which overrides of Hydra's own configuration are not used."""
    from attnbench.config.overrides import without_effect

    for text in without_effect(overrides):
        print_message(f"{text}: has no effect; runs are in output=DIR, and sweep.jobs=N of them run at a time")


def is_for_hydra(arguments: argparse.Namespace) -> bool:
    """Return whether Hydra has to act: for its own flags, or a sweeper or launcher other than ours (such as Optuna)."""
    if any(getattr(arguments, flag) for flag in HYDRA_FLAGS) or arguments.cfg in ("hydra", "all"):
        return True
    others = ("hydra/sweeper=", "hydra/launcher=")
    return arguments.multirun and any(word.lstrip("+").startswith(others) for word in arguments.overrides)


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Raises `UserError`."""
    parser = override_parser("train")
    parser.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
    parser.add_argument("-p", "--package")
    parser.add_argument("--resolve", action="store_true")  # Hydra's flag; what --cfg job prints is always resolved
    parser.add_argument("-sc", "--shell-completion", action="store_true")
    parser.add_argument("--hydra-help", action="store_true")
    parser.add_argument("-i", "--info", nargs="?", const="all", choices=HYDRAS_INFO)
    arguments = parser.parse_intermixed_args(words)
    _check_flags(arguments)
    return arguments


def _check_flags(arguments: argparse.Namespace) -> None:
    """Raise `UserError` for flags that exclude each other, and for those that have no effect without others."""
    if arguments.cfg and arguments.multirun:
        raise UserError(f"--cfg {arguments.cfg}: prints one configuration; leave out -m")
    asked = {
        "-m": arguments.multirun,
        "--cfg": arguments.cfg,
        "--info": arguments.info,
        "-sc": arguments.shell_completion,
    }
    given = [flag for flag, value in asked.items() if value]
    if len(given) > 1:
        raise UserError(f"{' and '.join(given)}: ask for one of them")
    if arguments.package and not arguments.cfg:
        raise UserError(f"-p {arguments.package}: needs --cfg")
    if not arguments.cfg:
        refuse(arguments, ("resolve",), "needs --cfg")


def _given_config_dir(words: Sequence[str]) -> str | None:
    known, _ = override_parser("train").parse_known_args([word for word in words if word not in ("-h", "--help")])
    directory: str | None = known.config_dir
    return directory


def print_config(config: RunConfig, package: str | None) -> int:
    """Print a configuration as YAML, or only the group or key `package`. Raises `UserError` if that does not exist."""
    import yaml

    node: Any = config.values
    for name in package.split(".") if package else ():
        if not isinstance(node, dict) or name not in node:
            raise UserError(f"-p {package}: no such group or key (groups: {', '.join(config.values)})")
        node = node[name]
    text = yaml.safe_dump(node, sort_keys=False, default_flow_style=False)
    print(text.removesuffix("...\n"), end="")
    return DONE


def train_one(config: RunConfig) -> int:
    """Find a single run finished, or train it, and return the exit status."""
    from attnbench.cli.views.summary import show_result
    from attnbench.console import make_console
    from attnbench.training.distributed import take_world
    from attnbench.training.experiment import Experiment
    from attnbench.training.found import find_finished

    console, world = make_console(), take_world(config["trainer"]["devices"], nodes=config["trainer"]["nodes"])
    if world.rank == 0:
        console.print(f"attnbench: {headline(config)}", soft_wrap=True)
    experiment = Experiment(config)
    if config.values.get("debug", "none") != "none":  # a primary config of the user's own may lack it
        return _try_out(experiment, console)
    if world.size == 1 and (found := find_finished(experiment)):
        job, record = found
        show_result(console, record, job.folder, found=True)
        return DONE
    return _check_and_train(experiment, console, world)


def _try_out(experiment: "Experiment", console: "Console") -> int:
    """Do what `debug` says and return the exit status. Nothing is recorded."""
    from attnbench.training.debug import debug
    from attnbench.training.plan import check

    check(experiment)
    _print_notes(experiment, console)
    return DONE if debug(experiment, print) else FAILED


def _print_notes(experiment: "Experiment", console: "Console") -> None:
    for note in experiment.notes:
        console.print(f"  {note}", soft_wrap=True)


def _check_and_train(experiment: "Experiment", console: "Console", world: "World") -> int:
    """Train in this process or, on several devices, in further ones, and return the exit status."""
    from attnbench.cli.views.summary import show_result
    from attnbench.cli.worker import run_job
    from attnbench.runs.folder import RunFolder
    from attnbench.training.plan import check

    job = check(experiment).job
    found = not job.again and RunFolder(job.folder).state() == "finished"
    if world.rank == 0 and not found:
        _print_notes(experiment, console)
    if experiment.options.nodes == 1 and experiment.options.devices > world.size and not found:
        from attnbench.launch.ranks import train_on_devices

        return train_on_devices(job)
    return run_job(job, console, lambda record: show_result(console, record, job.folder, found), experiment, world)


def headline(config: RunConfig) -> str:
    """Return one line that describes a run."""
    backbone, attention, data = (
        short_name(config.choices[group], config[group]) for group in ("backbone", "attention", "data")
    )
    epochs = config["recipe"]["epochs"]
    recipe = f"{config.choices['recipe']}, {epochs} epoch{'s' * (epochs != 1)}"
    return f"{backbone} with attention {attention} on {data}, {recipe}, seed {config['seed']}"
