"""The card of an exported network: how to use it, what it was trained on, how good it is, and with what code.

It goes into the file's metadata as JSON. It names no host and no path.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attnbench.errors import UserError
from attnbench.export.network import INPUT, PixelClassifier
from attnbench.runs.lookup import seeds_in
from attnbench.runs.metric_names import TEST, TOP1, TOP5, metric_name
from attnbench.runs.record import FinishedRecord
from attnbench.tables.verdicts.statistics import summarise, wilson
from attnbench.training.trained_run import TrainedRun
from attnbench.version import __version__

Card = dict[str, Any]
"""Plain values, lists and dictionaries, as JSON has them."""
LEVEL = 0.95
ROOT, WEIGHTS = ("data", "root"), ("backbone", "weights")
"""Options that say where something is on the machine that trained the network: group and key."""
NOTHING = "default"
"""A value of `backbone.weights` that names no file."""


def make_card(run: TrainedRun, network: PixelClassifier) -> Card:
    """Describe a run's exported network."""
    data, record = run.data, run.record
    return {
        "name": f"{run.folder.parent.name}/{run.folder.name}",
        "checkpoint": run.checkpoint,
        "epoch": run.epoch,
        "seed": record.seed,
        "classes": list(run.classes),
        "input": {
            "name": INPUT,
            "pixels": network.pixels,
            "channels": data.channels,
            "image_size": data.image_size,
            "mean": list(data.mean),
            "std": list(data.std),
            "maps": network.maps,
        },
        "metrics": metrics_of(run),
        "data": data_of(run),
        "parameters": record.costs.parameters,
        "multiply_adds": record.costs.multiply_adds,
        "choices": {group: record.choices[group] for group in ("backbone", "attention", "data")},
        "config": config_of(run),
        "code": code_of(record),
    }


def metrics_of(run: TrainedRun) -> Card:
    """Return the test accuracies of the checkpoint, each with n and interval, and of top-1 the mean over seeds."""
    record, best = run.record, run.checkpoint == "best"
    found: Card = {}
    for name in (TOP1, TOP5):
        value, images = record.metrics.get(metric_name(TEST, name, best)), record.data.test_images
        if value is not None:
            found[name] = {"value": value, **_over_images(value, images)}
    seeds = summarise(_accuracies(run, best), level=LEVEL)
    if seeds is not None and seeds.n > 1 and seeds.low is not None and seeds.high is not None:
        interval = {"low": seeds.low, "high": seeds.high, "level": LEVEL, "method": "Student's t"}
        found[f"{TOP1}_over_seeds"] = {"value": seeds.mean, "n": seeds.n, "n_of": "seeds", "interval": interval}
    return found


def _over_images(accuracy: float, images: int | None) -> Card:
    """Return n and the Wilson interval of an accuracy; nothing if the number of test images is not known."""
    if not images:
        return {}
    low, high = wilson(round(accuracy * images), images, LEVEL)
    interval = {"low": low, "high": high, "level": LEVEL, "method": "Wilson"}
    return {"n": images, "n_of": "test images", "interval": interval}


def _accuracies(run: TrainedRun, best: bool) -> Iterator[float]:
    """Yield the top-1 accuracy of every finished seed of the configuration; damaged records are left out."""
    for folder in seeds_in(run.folder.parent):
        try:
            record = folder.record()
        except UserError:
            continue
        value = record.metrics.get(metric_name(TEST, TOP1, best)) if isinstance(record, FinishedRecord) else None
        if value is not None:
            yield value


def data_of(run: TrainedRun) -> Card:
    """Return the data set that the run was trained on, and its terms of use."""
    data = run.record.data
    return {
        "name": run.record.choices["data"],
        "terms": run.data.terms or "not stated",
        "classes": data.classes,
        "all_classes": data.all_classes or data.classes,
        "train_images": data.train_images,
        "validation_images": data.validation_images,
        "test_images": data.test_images,
        "fingerprint": data.fingerprint,
    }


def config_of(run: TrainedRun) -> Card:
    """Return the configuration that the network was trained with, without places on this machine."""
    recorded = {group: run.record.config[group] for group in ("recipe", "trainer")}
    today = {group: run.config[group] for group in ("backbone", "attention", "data")}
    return {group: without_places(group, options) for group, options in {**today, **recorded}.items()}


def without_places(group: str, options: Mapping[str, Any]) -> Card:
    """Return a group's options without paths: `data.root` is left out, and `backbone.weights` is only called a file.

    An attention's own options may have any name, and texts that are no paths: `rule: 1/16`.
    """
    kept: Card = {}
    for key, value in options.items():
        if isinstance(value, Mapping):
            kept[key] = without_places(group, value)
        elif (group, key) == WEIGHTS and value not in (None, NOTHING):
            kept[key] = "file"
        elif (group, key) != ROOT and not (isinstance(value, str) and is_place(group, key, value)):
            kept[key] = value
    return kept


def is_place(group: str, key: str, text: str) -> bool:
    """Return whether an option is a path. A relative one is told by its slash, which a library's names have, too."""
    relative = group == "data" and key != "name" and "/" in text
    return relative or "\\" in text or text.startswith(("/", "~", "./", "../"))


def code_of(record: FinishedRecord) -> Card:
    """Return the versions that trained and exported the network."""
    used = record.environment
    trained: Card = {"attnbench": used.attnbench, "packages": dict(used.packages), "python": used.python}
    if used.git is not None:
        trained |= {"commit": used.git.commit, "uncommitted_changes": used.git.dirty}
    return {"trained_with": trained, "exported_with": {"attnbench": __version__}}
