"""Attention maps of single images as files: the numbers in `.npz`, and a picture that lays them over the image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attnbench.errors import UserError
from attnbench.export.predict import ImagePrediction
from attnbench.overlay import COLOURS, OPACITY, overlaid, spatial_means
from attnbench.runs.arrays import packed
from attnbench.runs.figures import encoded
from attnbench.runs.files import shown, write_all

PANELS_IN_A_ROW = 4
INCHES = 2.6
"""Width and height of a panel."""
DPI = 120


def map_paths(folder: Path, files: Sequence[Path], force: bool) -> dict[Path, Path]:
    """Return where the maps of each file go, without an ending: by its name, numbered where names are the same.

    Raises:
        UserError: there are maps already, and they may not be replaced.
    """
    found: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in dict.fromkeys(files):
        name, number = path.name, 1
        while name in taken:
            number += 1
            name = f"{path.stem}-{number}{path.suffix}"
        taken.add(name)
        found[path] = folder / name
        there = next((each for each in both(found[path]) if each.exists()), None)
        if there is not None and not force:
            raise UserError(f"--maps {shown(folder)}: {there.name} exists already; --force replaces it")
    return found


def both(path: Path) -> tuple[Path, Path]:
    """Return the files of an image's numbers and of its picture."""
    return path.with_name(f"{path.name}.npz"), path.with_name(f"{path.name}.png")


def write_maps(path: Path, prediction: ImagePrediction) -> tuple[Path, ...]:
    """Write an image's maps, and a picture of those that vary in space; return the files.

    Args:
        path: of the files, without an ending.
        prediction: with maps.

    Raises:
        UserError: the system does not allow it.
    """
    numbers, picture = both(path)
    contents: dict[Path, str | bytes] = {
        numbers: packed({name: values.astype(np.float32) for name, values in prediction.maps.items()})
    }
    maps = spatial_means({name: values[None] for name, values in prediction.maps.items()})
    if maps:
        contents[picture] = draw(prediction, {name: values for name, (values,) in maps.items()})
    write_all(contents)
    return tuple(contents)


def draw(prediction: ImagePrediction, maps: dict[str, np.ndarray]) -> bytes:
    """Return a PNG: the image, then each map (h, w) over the image, with a scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    columns = min(PANELS_IN_A_ROW, len(maps) + 1)
    rows = -(-(len(maps) + 1) // columns)
    figure = Figure(figsize=(INCHES * columns, INCHES * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.axis("off")
    picture = (prediction.pixels.transpose(2, 0, 1) / 255).astype(np.float32)
    panels[0].imshow(picture.transpose(1, 2, 0) if len(picture) == 3 else picture[0], cmap="gray", vmin=0, vmax=1)
    panels[0].set_title(f"{prediction.classes[0]} ({prediction.probabilities[0]:.0%})", fontsize=8, parse_math=False)
    for panel, (name, values) in zip(panels[1:], maps.items(), strict=False):
        low, high = float(values.min()), float(values.max())
        panel.imshow(overlaid(picture, values, low, high).transpose(1, 2, 0))
        panel.set_title(name, fontsize=8, parse_math=False)
        bar = figure.colorbar(ScalarMappable(Normalize(low, high), COLOURS), ax=panel, shrink=0.7, alpha=OPACITY)
        bar.ax.tick_params(labelsize=6)
    return encoded(figure, "png", DPI)
