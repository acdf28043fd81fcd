"""The internals of other packages that training uses are there; a failure here says which one changed."""

from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.loggers import TensorBoardLogger

from attnbench.training.lightning_compat import count_optimizer_steps, event_file_writer


def test_optimiser_steps_are_counted() -> None:
    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    module = pl.LightningModule()
    module.automatic_optimization = False
    trainer.strategy._lightning_module = module
    count_optimizer_steps(trainer, 5)
    count_optimizer_steps(trainer, 2)
    assert trainer.global_step == 7


def test_the_writer_behind_tensorboard_takes_summaries(own_folder: Path) -> None:
    logger = TensorBoardLogger(str(own_folder), name="", version="")
    assert callable(event_file_writer(logger).add_summary)
