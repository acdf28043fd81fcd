"""What callbacks share that draw a few validation images in TensorBoard every few epochs."""

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger

from attnbench.errors import require


class PeriodicPictures(Callback):
    """Chooses images when training starts, and draws them every few epochs; a subclass defines `choose` and `draw`.

    Args:
        images: number of images.
        every: epochs from one picture to the next; the last epoch has one too.

    Raises:
        OptionError: an option is below 1.
    """

    def __init__(self, images: int = 4, every: int = 5) -> None:
        require(images >= 1, "images", images, "must be at least 1")
        require(every >= 1, "every", every, "must be at least 1")
        self.images, self.every = images, every
        self.chosen: Any = None

    def choose(self, trainer: pl.Trainer, module: pl.LightningModule) -> Any:
        """Return what is drawn; None, after a warning that says why, for nothing."""
        raise NotImplementedError

    def draw(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Draw what was chosen."""
        raise NotImplementedError

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.chosen = self.choose(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.chosen is not None and (trainer.current_epoch + 1) % self.every == 0:
            self.draw(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.chosen is not None and trainer.current_epoch % self.every:  # by now it counts the epochs that were done
            self.draw(trainer, pl_module)


def tensorboards(trainer: pl.Trainer) -> list[TensorBoardLogger]:
    """Return the loggers that take pictures."""
    return [each for each in trainer.loggers if isinstance(each, TensorBoardLogger)]
