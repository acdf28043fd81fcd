"""Figures of matplotlib as files, which are written whole or not at all, as all results are."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.runs.files import write_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def write_figure(figure: "Figure", path: Path, dpi: int) -> None:
    """Write a figure, on white, to a file whose ending names the format. Raises what `write_all` raises."""
    write_all({path: encoded(figure, path.suffix.removeprefix("."), dpi)})


def encoded(figure: "Figure", form: str, dpi: int) -> bytes:
    """Return the content of a file of a figure, on white; `form` is the ending, such as `png`."""
    content = io.BytesIO()
    figure.savefig(content, format=form, dpi=dpi, facecolor="white")
    return content.getvalue()
