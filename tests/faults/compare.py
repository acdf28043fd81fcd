"""What a run has left on the disk, as far as it must not depend on faults."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attnbench.runs.epoch_rows import EpochRow
from attnbench.runs.folder import RunFolder, find_runs
from tests.faults.children import Place

MEASURED = ("energy_joules", "environment", "images_per_second", "peak_memory_bytes", "started", "train/seconds",
            "wall_seconds", "written")  # fmt: skip
EVENTS = re.compile(r"events\.out\.tfevents\..*")
BYTES_OF_LITTER = 4096
"""What a killed process may leave in the temporary folder of the system, at most, in a file."""


def runs_of(place: Place) -> dict[str, RunFolder]:
    """Return the runs by their paths below the outputs."""
    output = place.work / "outputs"
    return {run.path.relative_to(output).as_posix(): run for run in find_runs(output)}


def finished_epochs(run: RunFolder) -> int:
    """Return how many epochs need not be trained again: those of the last checkpoint."""
    if run.finished():
        return len(run.rows())
    if not run.last_checkpoint.is_file():
        return 0
    return int(torch.load(run.last_checkpoint, weights_only=True)["epoch"]) + 1


def differences(place: Place, reference: Place) -> list[str]:
    """Return in words what finished runs have that undisturbed ones do not, bit by bit, and the litter they left."""
    found, expected = runs_of(place), runs_of(reference)
    if found.keys() != expected.keys():
        return [f"the runs are {sorted(found)}, not {sorted(expected)}"]
    words = []
    for name, run in found.items():
        content, right = content_of(run), content_of(expected[name])
        parts = sorted(content.keys() | right.keys())
        words += [f"{name}: {part} differs" for part in parts if not same(content.get(part), right.get(part))]
    return words + litter(place, reference)


def content_of(run: RunFolder) -> dict[str, Any]:
    """Return the results of a run, by name."""
    last, best = (torch.load(path, weights_only=True) for path in (run.last_checkpoint, run.best_checkpoint))
    predictions = {path.name: _arrays(path) for path in (run.last_predictions, run.best_predictions)}
    record = json.loads(run.record_file.read_text(encoding="utf-8"))
    return {
        **{f"record.json, {key}": value for key, value in record.items() if key not in MEASURED},
        "the metrics": [_untimed(row) for row in run.rows()],
        "last.ckpt": {key: last[key] for key in ("epoch", "state_dict", "optimizer_states")},
        "best.ckpt": {key: best[key] for key in ("epoch", "state_dict")},
        "the predictions": predictions,
    }


def _untimed(row: EpochRow) -> tuple[int, int, dict[str, float | None]]:
    return row.epoch, row.images, {name: value for name, value in row.metrics.items() if name not in MEASURED}


def _arrays(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    with np.load(path) as stored:
        return dict(stored)


def same(one: Any, other: Any) -> bool:
    """Return whether two results are bit-equal; NaN is equal to NaN."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.shape == other.shape and _bytes(one) == _bytes(other)
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(*pair) for pair in zip(one, other, strict=True))
    return repr(one) == repr(other)  # NaN is not equal to itself


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes()


def litter(place: Place, reference: Place) -> list[str]:
    """Return the files that should not be there, or should be: temporary ones of killed processes, above all."""
    found, expected = _files(place), _files(reference)
    extra = [name for name in found - expected if _counts_as_litter(place.work / name)]
    return [f"litter: {name}" for name in sorted(extra)] + [f"missing: {name}" for name in sorted(expected - found)]


def _files(place: Place) -> set[str]:
    paths = (path.relative_to(place.work) for path in place.work.rglob("*") if path.is_file())
    return {EVENTS.sub("events", path.as_posix()) for path in paths if path.parts[:2] != ("tmp", "torchinductor_root")}


def _counts_as_litter(path: Path) -> bool:
    """The system's temporary folder is cleared by the system; only what fills it up counts."""
    return path.parent.name != "tmp" or (path.is_file() and path.stat().st_size > BYTES_OF_LITTER)
