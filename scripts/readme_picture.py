"""Draw README's picture from trained runs: test accuracy by attention over seeds, and digits under attention maps.

    attnbench train -m backbone=preact_resnet20 attention=none,bam,gated,ggam,residual seed=0,1,2
    python scripts/readme_picture.py          # reads outputs/runs, writes docs/images/readme.png

All numbers come from the runs' records, all maps from the trained networks, through `attnbench.load_run`.

    python scripts/readme_picture.py --pooled outputs/reproduced --profile small      # writes docs/images/forest.png

draws the forest plot of `attnbench table --pooled` instead: what each attention adds to the same network without it.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import stats

import attnbench
from attnbench.config.compose import Composer
from attnbench.errors import UserError
from attnbench.runs.metric_names import TOP1
from attnbench.tables.forest import Forest
from attnbench.tables.pooled.report import pooled_report
from attnbench.tables.pooled.sources import read_sources
from attnbench.tables.render.forest import save

RUNS = "cluttered_digits-preact_resnet20"
NAMES = {"none": "none", "bam": "BAM", "gated": "gated", "ggam": "GGAM", "residual": "residual"}
TITLES = {
    "bam": "BAM",
    "ggam": "GGAM",
    "gated": "Gated attention",
    "residual": "Residual attention",
    "se": "Squeeze-and-excitation",
    "cbam": "CBAM",
    "eca": "ECA",
    "extra_block": "One more block (no attention)",
}
IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
COLORS = {"none": "#78909c", "bam": "#1976d2", "gated": "#388e3c", "ggam": "#7b1fa2", "residual": "#f57c00"}
MAPS = {
    "residual": ("stage2.module0", "residual attention\nmask, stage 2"),
    "bam": ("stage2.out", "BAM\ngate, stage 2"),
    "gated": ("stage3.pre", "gated\nmasks, stage 2"),
    "ggam": ("spatial", "GGAM\nspatial map"),
}
"""Of each method, the map that is shown, by its name in `run.maps`, and what is written beside it."""
DIGITS = 5
Image = NDArray[np.float64]


def finished(output: Path) -> list[dict[str, Any]]:
    """Return the records of the finished runs."""
    paths = sorted((output / "runs").glob(f"{RUNS}-*/seed*/record.json"))
    records = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    return [record for record in records if record["status"] == "finished"]


def draw_accuracies(axes: Axes, records: list[dict[str, Any]]) -> None:
    """Draw each run's test accuracy as a dot, and each mean with its 95 % interval (Student's t)."""
    found = defaultdict(list)
    for record in records:
        found[record["choices"]["attention"]].append(100 * record["test/top1_accuracy"])
    shown = [name for name in NAMES if name in found]
    for place, name in enumerate(shown):
        values = np.array(found[name])
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values) if len(values) > 1 else 0
        axes.plot(np.full(len(values), place - 0.18), values, "o", color=COLORS[name], alpha=0.45, markersize=5)
        axes.errorbar(place + 0.08, values.mean(), half, fmt="D", color=COLORS[name], capsize=4, markersize=6, lw=2)
    axes.set_xticks(range(len(shown)), [NAMES[name] for name in shown])
    axes.set_xlim(-0.6, len(shown) - 0.4)
    axes.set_ylabel("test accuracy (%)")
    seeds = max(len(values) for values in found.values())
    trained = f"{records[0]['epochs']} epochs on {records[0]['data']['train_images']:,} images"
    axes.set_title(f"{trained}, {seeds} seeds:\nruns, means, 95 % intervals", fontsize=10)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def focus(maps: Any) -> Image:
    """Reduce maps (K, H, W) to one picture (H, W) from 0 to 1: their mean over K."""
    mean = np.asarray(maps, dtype=np.float64).mean(0)
    return (mean - mean.min()) / max(float(np.ptp(mean)), 1e-12)


def draw_maps(rows: list[list[Axes]], output: Path) -> None:
    """Draw digits in the first row, and below each the same digit under every method's map."""
    for row, (name, (key, label)) in enumerate(MAPS.items(), start=1):
        (folder,) = (output / "runs").glob(f"{RUNS}-{name}-*")
        run = attnbench.load_run(folder / "seed0")
        images = run.test_images[:DIGITS]
        for column, maps in enumerate(run.maps(images)[key]):
            digit = np.asarray(images[column]).squeeze()
            if row == 1:
                rows[0][column].imshow(digit, cmap="gray")
            rows[row][column].imshow(digit, cmap="gray")
            extent = (-0.5, digit.shape[1] - 0.5, digit.shape[0] - 0.5, -0.5)
            rows[row][column].imshow(focus(maps), cmap="inferno", alpha=0.65, extent=extent, interpolation="bilinear")
        rows[row][0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9)
    rows[0][0].set_ylabel("input", rotation=0, ha="right", va="center", fontsize=9)
    for axes in (axes for row_of_axes in rows for axes in row_of_axes):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)


def picture(output: Path) -> Figure:
    """Return the whole picture, on white so that dark pages show it too."""
    figure = Figure((9.4, 3.9), facecolor="white", layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1, 1.1))[0]
    draw_accuracies(left.subplots(), finished(output))
    grid = right.subplots(len(MAPS) + 1, DIGITS, gridspec_kw={"hspace": 0.05, "wspace": 0.05})
    draw_maps([list(row) for row in grid], output)
    return figure


def pooled_forest(names: Sequence[str], output: Path, profile: str | None) -> Forest:
    """Return the forest plot of kept tables or runs, with the methods' names as their papers write them."""
    composer = Composer()
    forest = pooled_report(read_sources(names, output, profile, composer), None, TOP1, composer).forest
    assert forest is not None
    groups = [replace(group, name=TITLES.get(group.name, group.name)) for group in forest.groups]
    return replace(forest, groups=tuple(groups))


def main() -> None:
    """Draw the picture into docs/images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("outputs"), help="the folder that holds runs/")
    parser.add_argument("--pooled", nargs="+", metavar="NAME", help="draw the forest plot of these tables or runs")
    parser.add_argument("--profile", help="of kept tables (default: all)")
    parser.add_argument("--to", type=Path, help="the picture (default: docs/images/readme.png or forest.png)")
    arguments = parser.parse_args()
    to = arguments.to or IMAGES / ("forest.png" if arguments.pooled else "readme.png")
    if not arguments.pooled:
        picture(arguments.output).savefig(to, dpi=130)
        return
    try:
        save(pooled_forest(arguments.pooled, arguments.output, arguments.profile), to)
    except UserError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
