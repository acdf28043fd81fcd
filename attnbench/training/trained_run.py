"""A trained run in Python: its network with weights, its configuration, and the test set it was measured on."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from attnbench.classifier import Classifier, Network
from attnbench.config.compose import Composer
from attnbench.config.validate import RunConfig
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.base import Loader
from attnbench.errors import UserError
from attnbench.runs.evaluations import PLAIN_SETTINGS, Evaluation, settle
from attnbench.runs.folder import RunFolder, shown
from attnbench.runs.lookup import find_one
from attnbench.runs.predictions import Predictions, read_predictions
from attnbench.training.attention_maps import attention_maps
from attnbench.training.evaluate import check, weights_of
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import resolve


class LoadedRun:
    """A finished run of any task.

    Args:
        evaluation: the run and the checkpoint to use.

    Attributes:
        record: what the run recorded: metrics, cost, environment.
        model: the network with the checkpoint's weights, on the CPU, in single precision and evaluation mode.
    """

    model: Network

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._experiment = check(evaluation)
        self.record = evaluation.record
        self.model = self._build()
        self.model.load_state_dict(weights_of(evaluation))
        self.model.eval()

    def _build(self) -> Network:
        return self._experiment.build_network()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self.folder)}, {self._evaluation.checkpoint} checkpoint)"

    @property
    def evaluation(self) -> Evaluation:
        """The run and the checkpoint, as they were named."""
        return self._evaluation

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._evaluation.run.path

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self._evaluation.config

    @property
    def data(self) -> DataSet:
        """The description of the data set that the run was trained on."""
        return self._experiment.data

    @property
    def checkpoint(self) -> str:
        """The checkpoint whose weights the model has: `last` or `best`."""
        return self._evaluation.checkpoint

    @property
    def epoch(self) -> int:
        """The epoch, counted from 1, after which that checkpoint was written."""
        return self._evaluation.epoch

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels."""
        return tuple(self._experiment.data.classes)

    @contextmanager
    def _test_loader(self) -> Iterator[Loader]:
        hardware = resolve(self._experiment.options, self._experiment.blueprint)
        with closing(self._experiment.open_data(hardware, ("test",))) as data:
            yield data.loaders["test"]


class TrainedRun(LoadedRun):
    """A finished run of a classifier; arguments as of `LoadedRun`.

    Attributes:
        model: the classifier. Move it with `run.model.to("cuda")`; `predict` and `maps` follow it.
    """

    model: Classifier

    def _build(self) -> Classifier:
        return self._experiment.build_classifier()

    @cached_property
    def test_predictions(self) -> Predictions:
        """The predictions that the run's own test made for each image. Raises `UserError` if they are not at hand."""
        path = self._evaluation.own_predictions
        found = read_predictions(path)
        if found is None:
            best = " --checkpoint best" if path == self._evaluation.run.best_predictions else ""
            raise UserError(f"{shown(path)} is not there; attnbench evaluate {shown(self.folder)}{best} writes it")
        return found

    def test_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the test set in order, as the network takes it.

        Yields:
            Normalised images (B, C, H, W) and labels (B,).
        """
        with self._test_loader() as loader:
            yield from loader.epoch()

    @cached_property
    def test_images(self) -> Tensor:
        """All test images (N, C, H, W), normalised; `test_batches` reads a set that is too large for memory."""
        return self._test_set[0]

    @cached_property
    def test_labels(self) -> Tensor:
        """The labels (N,) of the test images."""
        return self._test_set[1]

    @cached_property
    def _test_set(self) -> tuple[Tensor, Tensor]:
        images, labels = zip(*self.test_batches(), strict=True)
        return torch.cat(images), torch.cat(labels)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Return class probabilities (B, L) of normalised images (B, C, H, W), on the CPU."""
        return self.model(images.to(self._device)).float().softmax(1).cpu()

    def maps(self, images: Tensor) -> dict[str, Tensor]:
        """Return the attention maps (B, K, h, w) of normalised images (B, C, H, W) by name, on the CPU.

        There are none where the attention has none, as with `attention=none`.
        """
        return attention_maps(self.model, images)

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def task_of(evaluation: Evaluation) -> str:
    """Return the name of the task that a run was trained for."""
    return Experiment(evaluation.config).task.name


def load_run(
    name: str | Path,
    checkpoint: str = "last",
    output: str | Path = "outputs",
    config_dir: str | None = None,
    trust: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> TrainedRun:
    """Load a finished run of a classifier; arguments as of `settle_one`. Raises `UserError` if it cannot be loaded."""
    return TrainedRun(settle_one(name, checkpoint, output, config_dir, trust, overrides))


def settle_one(
    name: str | Path,
    checkpoint: str = "last",
    output: str | Path = "outputs",
    config_dir: str | None = None,
    trust: Sequence[str] = (),
    overrides: Sequence[str] = (),
) -> Evaluation:
    """Find the one run that is meant, and what it is loaded from.

    Args:
        name: its folder (`outputs/runs/NAME/seed0`), its record's path, or the start of its hash (`a37d17`, or
            `a37d17/seed1` where there are several seeds).
        checkpoint: `last`, or `best` for the best validation epoch.
        output: the folder that holds `runs`, where hashes are searched for.
        config_dir: a folder of the user's own configs, if the run was trained with one.
        trust: packages whose classes the run may name in place of its choices' own.
        overrides: settings to load it under, as for `attnbench evaluate`: `["data.root=DIR"]` where its data is today.

    Raises:
        UserError: no run, or several, are meant, or the run is not finished.
    """
    path = Path(name)
    runs = find_one(str(path.parent if path.name == "record.json" else name), Path(output))
    if len(runs) > 1:
        seeds = ", ".join(shown(run.path) for run in runs)
        raise UserError(f"{name}: {len(runs)} runs are meant: {seeds}; name one of them")
    run: RunFolder = runs[0]
    return settle(run, checkpoint, Composer(config_dir, trusted=trust), [*PLAIN_SETTINGS, *overrides])
