"""A folder of runs that were never trained: their records, learning curves and predictions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attnbench.config.compose import Composer
from attnbench.runs.folder import RunFolder
from attnbench.runs.predictions import Predictions, write_predictions
from attnbench.runs.record import RunRecord
from tests.runs.samples import DATA, make_row, record_json

EPOCHS = 4
EVIL = "</script><b onclick=alert(1)>\u202eevil"
CLASSES = (EVIL, *map(str, range(1, 10)))


def write_runs(attention: str, accuracies: Sequence[float], *overrides: str, output: Path = Path("outputs")) -> None:
    """Write a finished run for each accuracy: seeds 0, 1, …"""
    config = Composer().compose(["data=digits", "backbone.width=4", f"attention={attention}", *overrides])
    name = attention + "".join(overrides)
    for seed, accuracy in enumerate(accuracies):
        run = RunFolder(output / "runs" / f"digits-resnet20-{attention}-{name}" / f"seed{seed}")
        values = {**config.values, "seed": seed}
        content: dict[str, Any] = {
            "choices": config.choices, "config": values, "identity": name, "seed": seed, "epochs": EPOCHS,
            "images": 100 * EPOCHS, "test/top1_accuracy": accuracy, "data": {**DATA, "test_images": 20},
        }  # fmt: skip
        run.path.mkdir(parents=True)
        run.write_record(RunRecord.from_json(record_json(**content), run.path))
        run.write_rows([make_row(epoch, accuracy * epoch / EPOCHS) for epoch in range(1, EPOCHS + 1)])
        labels = [number % 10 for number in range(20)]
        predicted = [(label + (number < seed)) % 10 for number, label in enumerate(labels)]
        half = [0.5] * 20
        write_predictions(run.last_predictions, Predictions.make(CLASSES, range(20), labels, predicted, half, half))
