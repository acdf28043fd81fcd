"""The picture beside a table: what the networks of the first seed see in the same images."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from attnbench.reproduce.campaign import TableReproduction
from attnbench.runs.evaluations import PLAIN_SETTINGS, Evaluation, settle
from attnbench.runs.explanations import Request
from attnbench.runs.figures import encoded
from attnbench.runs.files import write_all
from attnbench.runs.folder import Job, RunFolder
from attnbench.tables.results.values import Key

REQUEST = Request(images=6)
STEM = "figure"
DPI, COLOURS = 100, 256
"""Of a picture, so that its file is small enough for git."""


def pictures_in(folder: Path) -> tuple[str, ...]:
    """Return the names of the pictures in a folder of archived results."""
    return tuple(path.name for path in sorted(folder.glob(f"{STEM}*.png")))


def draw_pictures(reproduction: TableReproduction, jobs: Mapping[Key, list[Job]]) -> None:
    """Draw a table's picture, if it has one that is older than the runs that it shows.

    Raises:
        UserError: a run cannot be loaded or explained.
    """
    folder, kind = reproduction.folder, reproduction.table.figure
    runs = first_seeds(reproduction, jobs)
    if not kind or not runs or not _outdated(folder, runs.values()):
        return
    from attnbench.explain.draw import draw_comparison, draw_sheet, scales_of
    from attnbench.explain.pick import names_of, read_test_images
    from attnbench.explain.scored_run import explain_run
    from attnbench.training.trained_run import TrainedRun

    loaded = [TrainedRun(run) for run in runs.values()]
    names = list(runs) if kind == "comparison" else names_of(loaded)
    chosen = read_test_images(loaded, REQUEST)
    found = [explain_run(run, REQUEST, chosen, name) for run, name in zip(loaded, names, strict=True)]
    figures = [draw_comparison(found)] if kind == "comparison" else [draw_sheet(one, scales_of(found)) for one in found]
    for number, figure in enumerate(figures, 1):
        path = folder / f"{STEM}{number if len(figures) > 1 else ''}.png"
        write_all({path: shrunk(encoded(figure, "png", DPI))})


def first_seeds(reproduction: TableReproduction, jobs: Mapping[Key, list[Job]]) -> dict[str, Evaluation]:
    """Return the runs of the first seed that are finished and at hand, each once, by the names of their rows."""
    found: dict[Path, tuple[str, Evaluation]] = {}
    for (row, _), (job, *_) in jobs.items():
        run = RunFolder(job.folder)
        if run.path not in found and run.finished() and run.last_checkpoint.is_file():
            evaluation = settle(run, REQUEST.checkpoint, reproduction.composer, PLAIN_SETTINGS)
            found[run.path] = reproduction.table.name_of(row), evaluation
    return dict(found.values())


def _outdated(folder: Path, runs: Iterable[Evaluation]) -> bool:
    drawn = [(folder / name).stat().st_mtime for name in pictures_in(folder)]
    return not drawn or min(drawn) < max(run.weights.stat().st_mtime for run in runs)


def shrunk(png: bytes) -> bytes:
    """Return a picture with few colours."""
    from PIL import Image

    from attnbench.data.transforms.open_image import open_image

    with open_image(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    content = io.BytesIO()
    few.save(content, "PNG", optimize=True)
    return content.getvalue()
