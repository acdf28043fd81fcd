"""Progress of a training run: a line an epoch and, in a terminal, a bar below."""

from collections.abc import Iterable
from typing import Any, cast

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from attnbench.runs.metric_names import AVERAGE, IMAGES_PER_SECOND, LOSS, TITLES, TOP1, main_metric
from attnbench.training.lightning_module import TrainingModule


class LiveProgress(Progress):
    """Progress display that reads the number of images seen whenever it is drawn; training reports nothing."""

    def __init__(self, module: TrainingModule, *columns: ProgressColumn, **options: Any) -> None:
        super().__init__(*columns, **options)
        self.module = module

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.task_ids:
            self.update(task, completed=self.module.seen.images)
        yield from super().get_renderables()


class ProgressBar(Callback):
    """Show a line with each epoch's metrics, above a bar over all images of the run."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        epochs, images = trainer.max_epochs or 0, module.loaders["train"].images
        if trainer.is_global_zero and trainer.current_epoch:
            self.console.print(f"goes on after epoch {trainer.current_epoch} of {epochs}", highlight=False)
        if not trainer.is_global_zero or not self.console.is_terminal:
            return
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TextColumn("· elapsed"),
            TimeElapsedColumn(),
            TextColumn("· left"),
            TimeRemainingColumn(),
        )
        self.bar = LiveProgress(module, *columns, console=self.console, refresh_per_second=4, transient=True)
        fields: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "epochs": epochs}
        self.task = self.bar.add_task("train", total=epochs * images, **fields)
        self.bar.start()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if trainer.is_global_zero:
            line = f"epoch {epoch}/{trainer.max_epochs}: {summary(cast(TrainingModule, pl_module))}"
            self.console.print(line, highlight=False)
        if self.bar is not None:
            self.bar.update(self.task, epoch=min(epoch + 1, trainer.max_epochs or epoch))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def summary(module: TrainingModule) -> str:
    """Return the last epoch's metrics in a few words."""
    train, validation = module.train_metrics, module.validation_metrics
    main = main_metric(validation)
    title = "" if main == TOP1 else f"{TITLES[main]} "
    held_out = f" · val {title}{validation[main]:.1%}" if validation else ""
    if (averaged := validation.get(f"{AVERAGE}/{main}")) is not None:
        held_out += f" ({AVERAGE} {averaged:.1%})"
    rate = f"{train[IMAGES_PER_SECOND]:,.0f} img/s"
    trained = f" · train {train[TOP1]:.1%}" if TOP1 in train else ""
    return f"loss {train[LOSS]:.3f}{trained}{held_out} · {rate}"
