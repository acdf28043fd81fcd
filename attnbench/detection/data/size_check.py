"""Check that images have the sizes that their annotations state: boxes count the pixels of those."""

from collections.abc import Sequence

from attnbench.data.bases.box_check import USUAL_SHARE, looked_at, upright_size
from attnbench.data.sources.image_files import ImageFiles


def size_problem(images: ImageFiles, sizes: Sequence[tuple[float, float]]) -> str:
    """Return what is wrong if more than a few images are larger or smaller than their annotations say; else nothing.

    Looks at all images, or at some that are evenly distributed. An image that cannot be opened is left to its decoding.

    Args:
        images: of a split.
        sizes: stated width and height of each.
    """
    looked = looked_at(len(images))
    found = ((index, upright_size(images, index)) for index in looked)
    wrong = [(index, size) for index, size in found if size not in (None, sizes[index])]
    if len(wrong) <= USUAL_SHARE * len(looked):
        return ""
    index, size = wrong[0]
    return (
        f"{len(wrong):,} of {len(looked):,} images looked at have other sizes than their annotations state, such as "
        f"{images.path(index)}: {_shown(size)}, not {_shown(sizes[index])}; boxes must be in pixels of the images"
    )


def _shown(size: Sequence[float] | None) -> str:
    return "x".join(f"{side:g}" for side in size or ())
