"""Check that images have the sizes that their annotations state: boxes count the pixels of those."""

from collections.abc import Sequence
from pathlib import Path

from attnbench.data.bases.box_check import USUAL_SHARE, looked_at, upright_size
from attnbench.data.sources.image_files import ImageFiles
from attnbench.data.sources.label_files import cached_until_changed


def size_problem(images: ImageFiles, sizes: Sequence[tuple[float, float]]) -> str:
    """Return what is wrong if more than a few images are larger or smaller than their annotations say; else nothing.

    Looks at all images, or at some that are evenly distributed. An image that cannot be opened is left to its decoding.

    Args:
        images: of a split.
        sizes: stated width and height of each.
    """
    if not (looked := looked_at(len(images))):
        return ""
    files = [Path(images.path(index)) for index in looked]
    found = cached_until_changed((size_problem, *files), files, lambda: [upright_size(images, n) for n in looked])
    wrong = [(index, size) for index, size in zip(looked, found, strict=True) if size not in (None, sizes[index])]
    if len(wrong) <= USUAL_SHARE * len(looked):
        return ""
    index, size = wrong[0]
    return (
        f"{len(wrong):,} of {len(looked):,} images looked at have other sizes than their annotations state, such as "
        f"{images.path(index)}: {_shown(size)}, not {_shown(sizes[index])}; boxes must be in pixels of the images"
    )


def _shown(size: Sequence[float] | None) -> str:
    return "x".join(f"{side:g}" for side in size or ())
