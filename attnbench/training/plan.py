"""The last checks of a configuration, before data is read or a folder is made.

Names and types are right by now. Here constructors check ranges, the network is built without memory to check pairs,
data and weights are searched for, and the run gets its identity. Nothing here imports Lightning.
"""

import os
from pathlib import Path

from attnbench.config.validate import RunConfig
from attnbench.construct import guarded
from attnbench.errors import UserError, nearest
from attnbench.plain_text import plain
from attnbench.runs.folder import Job
from attnbench.runs.metric_names import VAL, metric_name
from attnbench.training.addons import check_addons
from attnbench.training.experiment import Experiment
from attnbench.training.freezing import freeze
from attnbench.training.hardware import check_compiling, check_memory_layout
from attnbench.training.losses import check_loss
from attnbench.training.optimizers import FROM_TIMM, timm_optim

LARGEST_SEED = 2**32 - 1


def plan(config: RunConfig) -> Job:
    """Check a configuration and return the run that it describes.

    A configuration with `debug` describes none: `attnbench train` tries it out.

    Raises:
        UserError: something that the run needs is wrong or missing.
    """
    if config.values.get("debug", "none") != "none":
        raise UserError(f"debug={config['debug']}: is for attnbench train without -m; it is no run")
    return check(Experiment(config)).job


def check(experiment: Experiment) -> Experiment:
    """Check everything that can be checked without reading images, and return the experiment.

    Raises:
        UserError: something that the run needs is wrong or missing.
    """
    check_seed(experiment.seed)
    recipe, options, network = experiment.recipe, experiment.options, experiment.blueprint
    guarded("trainer", lambda: check_memory_layout(options, network))
    guarded("trainer", lambda: check_compiling(options, recipe.accumulate))
    guarded("recipe", lambda: freeze(network, recipe.freeze))
    guarded("recipe", lambda: experiment.task.check(recipe))
    guarded("recipe", lambda: check_loss(network, recipe))
    if recipe.optimizer in FROM_TIMM:
        timm_optim()
    check_addons(experiment.config)
    check_shares(experiment)
    experiment.data.check_available()
    check_monitors(experiment)
    check_writable(experiment.output)
    return experiment


def check_seed(seed: int) -> None:
    """Check that every generator takes the seed. Raises `UserError`."""
    if not 0 <= seed <= LARGEST_SEED:
        raise UserError(f"seed={seed}: must be from 0 to {LARGEST_SEED}")


def check_shares(experiment: Experiment) -> None:
    """Check that each device has an image of every batch. Raises `UserError`."""
    devices = experiment.options.devices * experiment.options.nodes
    if (images := int(experiment.config["data"]["batch_size"])) < devices:
        raise UserError(f"data.batch_size={images}: must be at least {devices}, an image for each device of the run")


def check_monitors(experiment: Experiment) -> None:
    """Check that callbacks wait for validation metrics that there will be. Raises `UserError`."""
    measured = [metric_name(VAL, name) for name in experiment.task.test_metrics]
    for name, node in experiment.config["callbacks"].items():
        monitor = str(node.get("monitor", ""))
        if not monitor.startswith(f"{VAL}/"):
            continue
        key = f"callbacks.{name}.monitor={monitor}"
        if "validation" not in experiment.data.splits:
            raise UserError(f"{key}: needs images that are held out, as with data.validation=500")
        if monitor not in measured:
            raise UserError(f"{key}: is not measured (measured: {', '.join(measured)}){nearest(monitor, measured)}")


def check_writable(output: Path) -> None:
    """Check that runs can be written to the output folder, or that it can be made. Raises `UserError`."""
    if plain(os.fspath(output.absolute()), keep="") != os.fspath(output.absolute()):
        raise UserError(f"output={output}: {output.absolute()} has characters that are no text; name another folder")
    existing = next(path for path in (output, *output.parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f"output={output}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"output={output}: {existing} cannot be written to")
