"""Two processes on one run of a detector: one record, whose metrics are those of all images."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.config.compose import Composer
from attnbench.runs.evaluations import settle
from attnbench.runs.folder import find_runs
from attnbench.training.evaluate import evaluate
from tests.detection.test_runs import SMALL
from tests.runs.samples import written_record

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("detector", ["retinanet", "ssdlite"])
def test_two_processes_are_one_run(detector: str, own_folder: Path) -> None:
    words = [word for word in SMALL if not word.startswith(("data.validation", "data.test", "task."))]
    words += ["task=detection", f"task.detector={detector}", "data.validation=9", "data.test_images=11"]
    command = [sys.executable, "-m", "attnbench", "train", *words, "trainer.accelerator=cpu", "trainer.devices=2"]
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[2])}
    result = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    (run,) = find_runs(Path("outputs"))
    record = written_record(run.path)
    assert record["resolved"]["devices"] == 2
    assert record["images"] == 2 * 15
    alone = evaluate(settle(run, "last", Composer(), ["trainer.devices=1"]))
    tested = {name: value for name, value in alone.entry.metrics.items() if name.startswith("test/")}
    assert tested == {name: record[name] for name in tested}
