"""The curve of a learning-rate range test, as a table and as a picture."""

import csv
from io import StringIO
from pathlib import Path

import numpy as np

from attnbench.runs.figures import encoded
from attnbench.runs.files import write_all
from attnbench.training.lr_range import RangeTest

HEAD = 1.2
"""Losses above so many times the first one are not drawn."""


def write_curve(found: RangeTest, folder: Path, name: str) -> list[Path]:
    """Write the losses by rate as CSV and PNG files of that name; return their paths."""
    files: dict[Path, str | bytes] = {
        folder / f"{name}.csv": _table(found),
        folder / f"{name}.png": _picture(found, name),
    }
    write_all(files)
    return list(files)


def _table(found: RangeTest) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lr", "loss", "smoothed"])
    smoothed = [*found.smoothed, *[""] * (len(found.rates) - len(found.smoothed))]
    writer.writerows(zip(found.rates, found.losses, smoothed, strict=True))
    return text.getvalue()


def _picture(found: RangeTest, name: str) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogx(found.rates, found.losses, ".", color="0.7", label="a step")
    axes.semilogx(found.rates[: len(found.smoothed)], found.smoothed, color="#0072b2", label="smoothed")
    if found.suggestion is not None:
        axes.axvline(found.suggestion, color="#d55e00", linestyle="--", label=f"suggestion: {found.suggestion:.2g}")
    axes.set(xlabel="recipe.lr", ylabel="training loss", title=name)
    axes.set_ylim(top=max(HEAD * found.smoothed[0], float(np.median(found.smoothed))))
    axes.legend()
    return encoded(figure, "png", 120)
