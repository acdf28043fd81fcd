"""Export a trained run: build the file, compare it with the original, write it."""

from pathlib import Path
from typing import NamedTuple

import torch

from attnbench.data.loaders.pixels import first_test_pixels
from attnbench.errors import UserError
from attnbench.export.agreement import TOLERANCE, largest_difference
from attnbench.export.card import make_card
from attnbench.export.card_markdown import to_markdown
from attnbench.export.codecs import CODECS, encode
from attnbench.export.formats import Format, Pixels
from attnbench.export.network import PixelClassifier, check_maps, outputs_of
from attnbench.export.trace import OTHER_SIZES, Run
from attnbench.runs.files import shown, write_all
from attnbench.training.trained_run import TrainedRun

REAL_IMAGES = 16
"""Test images that an export is compared on; fewer where the run's batches are smaller."""
RANDOM_IMAGES = 3
FOLDER = "exports"
"""The folder of exports in a run's folder."""


class Comparison(NamedTuple):
    """How far an export is from the original.

    Attributes:
        outputs: their names.
        random: the largest difference on random pixels.
        real: the largest difference on test images.
        images: number of these.
    """

    outputs: tuple[str, ...]
    random: float
    real: float
    images: int


class Exported(NamedTuple):
    """An export that was compared with the original and written.

    Attributes:
        paths: of the files, the network first.
        size: of the network's file in bytes.
        free_size: whether it takes images of any size.
        compared: how far it is from the original.
    """

    paths: tuple[Path, ...]
    size: int
    free_size: bool
    compared: Comparison


def export_run(
    run: TrainedRun, form: Format, to: Path | None = None, pixels: Pixels = "uint8", maps: bool = False,
    force: bool = False,
) -> Exported:  # fmt: skip
    """Export a run's network.

    Args:
        run: the run, with the weights of the wanted checkpoint.
        form: one of `FORMATS`.
        to: the file; by default in the folder `exports` of the run, named by the checkpoint.
        pixels: what the network takes.
        maps: whether attention maps are outputs too.
        force: replace files that exist.

    Raises:
        UserError: a file exists or cannot be written, the network cannot be exported, or the export computes something
            else than the original.
    """
    paths = targets(run, form, to)
    check_targets(paths, force)
    network = PixelClassifier(run.model, run.data.mean, run.data.std, pixels, maps).eval()
    if maps:
        check_maps(network, run.record.choices["attention"], run.data.image_size)
    card = make_card(run, network)
    content, free_size = encode(form.name, network, run.data.image_size, card)
    compared = compare(CODECS[form.name].load(content), run, network, free_size)
    write_all(dict(zip(paths, (content, to_markdown(card, paths[0].name)), strict=False)))
    return Exported(paths, len(content), free_size, compared)


def targets(run: TrainedRun, form: Format, to: Path | None) -> tuple[Path, ...]:
    """Return the files to write: the network, and beside safetensors the card. Raises `UserError` for a folder."""
    path = to or run.folder / FOLDER / f"{run.checkpoint}{form.suffix}"
    if path.is_dir():
        raise UserError(f"{shown(path)}: is a folder; --to names a file")
    return (path,) if form.traced else (path, path.with_suffix(".md"))


def check_targets(paths: tuple[Path, ...], force: bool) -> None:
    """Raise `UserError` if a file exists already, unless it may be replaced."""
    for path in paths:
        if path.exists() and not force:
            raise UserError(f"{shown(path)}: exists already; --force replaces it, --to names another file")


@torch.no_grad()
def compare(exported: Run, run: TrainedRun, network: PixelClassifier, free_size: bool) -> Comparison:
    """Compare an export with the network on random pixels, and with the run's own model on its test images.

    The run's own loader has normalised the latter, so that the normalisation inside the export is compared too.

    Raises:
        UserError: a difference is above the tolerance.
    """
    size, images = run.data.image_size, next(iter(run.test_batches()))[0][:REAL_IMAGES]
    draws = [network.draw(RANDOM_IMAGES, size, size)]
    if free_size:
        draws += [network.draw(1, size + high, size + wide) for high, wide in OTHER_SIZES]
    random = max(largest_difference(exported(drawn), network(drawn)) for drawn in draws)
    pixels = torch.from_numpy(first_test_pixels(run.data, len(images))).permute(0, 3, 1, 2).contiguous()
    expected = outputs_of(run.model, images, network.maps)
    real = largest_difference(exported(network.take(pixels)), expected)
    if max(random, real) > TOLERANCE:
        worst = f"by {random:.1e} on random pixels, {real:.1e} on test images; up to {TOLERANCE:.0e} is allowed"
        raise UserError(f"not written: the export differs from the original {worst}")
    return Comparison(tuple(expected), random, real, len(images))
