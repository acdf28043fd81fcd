"""Try a configuration out before it is trained. Nothing is recorded, so none of this counts as a result.

- `overfit`: train on a few images, without augmentation, until the loss is near 0, or until a detector finds their
  objects: a network that cannot learn them by heart has a fault, or a rate that does not suit it.
- `one_batch`: one optimiser step, and one batch of each other split.
- `profile`: where the time of a few steps goes, as a table and a trace that chrome://tracing and Perfetto show.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import fmean

import torch
from torch.profiler import ProfilerActivity, profile

from attnbench.classifier import Classifier, Network
from attnbench.data.loaders.chosen import spread_images
from attnbench.runs.files import make_folder, shown
from attnbench.runs.identity import readable_name
from attnbench.runs.metric_names import LOSS, TITLES, main_metric
from attnbench.training.datamodule import Block
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import on_device_layout, resolve, set_up
from attnbench.training.lightning_module import TrainingModule
from attnbench.training.losses import training_losses
from attnbench.training.metrics import total
from attnbench.training.optimizers import set_rates
from attnbench.training.recipe import Recipe
from attnbench.weights import load as weights

OVERFIT_IMAGES, OVERFIT_STEPS = 32, 300
NEAR_ZERO = 0.1
"""The loss at which images count as learnt by heart: their classes have a probability of 90 %."""
PROFILED_STEPS = 5
TABLE_ROWS = 15


def debug(experiment: Experiment, say: Callable[[str], None]) -> bool:
    """Do what the configuration's `debug` says, and return whether all was well.

    Args:
        experiment: the run to be tried out, whose configuration is checked.
        say: called with each line of the result.
    """
    kind = experiment.config["debug"]
    with tried_out(experiment, experiment.build_network, experiment.recipe) as module:
        if kind == "overfit":
            return experiment.task.overfit(experiment, module, say)
        lines = _one_batch(module) if kind == "one_batch" else _profile(module, _trace_file(experiment))
        for line in lines:
            say(line)
    return True


@contextmanager
def tried_out(experiment: Experiment, build: Callable[[], Network], recipe: Recipe) -> Iterator[TrainingModule]:
    """Open a run's data and yield what trains its network, at the start of the first epoch, without a run folder.

    Args:
        experiment: the run.
        build: builds the network.
        recipe: how it is trained.
    """
    hardware = resolve(experiment.options, experiment.blueprint)
    set_up(hardware)
    net = on_device_layout(build(), hardware)
    weights.load(experiment.config, net.backbone)
    with closing(experiment.open_data(hardware, policy=recipe)) as data:
        module = experiment.task.make_module(net, recipe, hardware, data.loaders, experiment.seed)
        module.to(data.placement.device).train()
        module.begin_epoch(0)
        yield module


def overfit(experiment: Experiment, net: Classifier, module: TrainingModule, say: Callable[[str], None]) -> bool:
    """Train a classifier on a few images, by the recipe's loss, clipping and shortened schedule.

    Returns:
        Whether they are learnt.
    """
    chosen = spread_images(experiment.data, "train", OVERFIT_IMAGES)
    images, labels = chosen.images.to(module.device), torch.from_numpy(chosen.labels).to(module.device)
    optimizer, loss = module.configure_optimizers(), float("nan")
    for number in overfit_steps(module.recipe, optimizer):
        with module.autocast():
            output = net.output(images)
            losses = training_losses(net, output, labels, module.recipe)
            loss = net.attention.evaluation_loss(output, labels).item()
        if loss < NEAR_ZERO:
            say(f"overfit: the loss of {len(labels)} images is {loss:.3f} after {number} steps, so they are learnt")
            return True
        total(losses).backward()
        module.optimize(optimizer)
    hint = "try another recipe.lr, or look for a fault in network or labels"
    say(f"overfit: the loss of {len(labels)} images is still {loss:.3f} after {OVERFIT_STEPS} steps; {hint}")
    return False


def overfit_steps(recipe: Recipe, optimizer: torch.optim.Optimizer) -> Iterator[int]:
    """Yield the number of each step, with the learning rates set as the recipe has them if it is that short."""
    steps_per_epoch = -(-OVERFIT_STEPS // recipe.epochs)
    for number in range(OVERFIT_STEPS):
        set_rates(optimizer, recipe.rate(number, steps_per_epoch))
        yield number


def _one_batch(module: TrainingModule) -> Iterator[str]:
    """Take one step and evaluate one batch of each other split; yield what came out."""
    epoch, optimizer = module.loaders["train"].epoch(0), module.configure_optimizers()
    joined = module.recipe.joined(0, module.batches)
    losses = [total(module.step(optimizer, epoch, number)[1].losses).item() for number in joined]
    yield f"train: {sum(map(epoch.size, joined))} images, loss {fmean(losses):.3f}"
    module.eval()
    for split in (name for name in module.loaders if name != "train"):
        block = Block(module.loaders[split].epoch(), 0, 1)
        with torch.no_grad():
            module.evaluation_step(block)
        metrics = module.evaluation.read(split, block.images)
        main = main_metric(metrics)
        loss = f", loss {metrics[LOSS]:.3f}" if LOSS in metrics else ""
        yield f"{split}: {block.images} images{loss}, {TITLES[main]} {metrics[main] or 0:.1%}"


def _profile(module: TrainingModule, trace: Path) -> Iterator[str]:
    """Profile a few steps after one that warms up; yield the table and the trace's place."""
    optimizer, epoch = module.configure_optimizers(), module.loaders["train"].epoch(0)
    module.step(optimizer, epoch, 0)
    on_gpu = module.hardware.accelerator == "gpu"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiler:
        for number in range(1, 1 + PROFILED_STEPS):
            module.step(optimizer, epoch, number % len(epoch))
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    yield profiler.key_averages().table(sort_by=order, row_limit=TABLE_ROWS)
    make_folder(trace.parent)
    profiler.export_chrome_trace(str(trace))
    yield f"trace of {PROFILED_STEPS} steps: {shown(trace)}"


def _trace_file(experiment: Experiment) -> Path:
    return experiment.output / "debug" / f"{readable_name(experiment.config)}.trace.json"
