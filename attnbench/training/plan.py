"""From a configuration to a job: the last checks, before data is read or a folder is made.

Names and types are right by now. Here constructors check ranges, the network is built without memory to check pairs,
the data and the weights are looked for, and the run gets its identity. Nothing here imports Lightning.
"""

import os
from pathlib import Path

from attnbench.build import build_model_on_meta
from attnbench.config.validate import RunConfig
from attnbench.construct import build_data, guarded, locate
from attnbench.errors import UserError
from attnbench.runs.folder import Job
from attnbench.runs.identity import identity, readable_name
from attnbench.training.freezing import freeze
from attnbench.training.hardware import TrainerOptions, check_layout
from attnbench.training.recipe import Recipe
from attnbench.weights.load import identity_of

LARGEST_SEED = 2**32 - 1


def plan(config: RunConfig) -> Job:
    """Check a configuration and tell which run it is. Raises `UserError`."""
    require_seed(config["seed"])
    recipe = make_recipe(config)
    options = make_trainer_options(config)
    data = build_data(config)
    net = build_model_on_meta(config, data)
    guarded("trainer", lambda: check_layout(options, net))
    guarded("recipe", lambda: freeze(net, recipe.freeze))
    check_targets(config)
    data.find()
    require_writable(Path(config["output"]).expanduser().absolute())
    name = identity(config, data.fingerprint(), identity_of(config, net.backbone))
    folder = Path(config["output"]).expanduser().absolute() / "runs" / f"{readable_name(config)}-{name}"
    return Job(config, name, folder / f"seed{config['seed']}")


def require_seed(seed: int) -> None:
    """Raise `UserError` unless the seed is one that every generator takes."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed={seed}: must be from 0 to {LARGEST_SEED}")


def require_writable(output: Path) -> None:
    """Raise `UserError` unless runs can lie in the output folder, or in one that is made where it is named."""
    there = next(path for path in (output, *output.parents) if path.exists())
    if not there.is_dir():
        raise UserError(f"output={output}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"output={output}: {there} cannot be written to")


def make_recipe(config: RunConfig) -> Recipe:
    """The recipe of a configuration."""
    recipe: Recipe = guarded("recipe", lambda: Recipe(**config["recipe"]))
    return recipe


def make_trainer_options(config: RunConfig) -> TrainerOptions:
    """The trainer's options of a configuration."""
    options: TrainerOptions = guarded("trainer", lambda: TrainerOptions(**config["trainer"]))
    return options


def check_targets(config: RunConfig) -> None:
    """Import what loggers and callbacks of the user's own name, so that a misspelt one is found now."""
    for group in ("logger", "callbacks"):
        for name, node in config[group].items():
            target = str(node.get("_target_", ""))
            if not target.startswith("attnbench."):
                locate(target, f"{group}.{name}._target_")
