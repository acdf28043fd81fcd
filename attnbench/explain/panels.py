"""Panels: what a picture shows of each image, as a map or as bars."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Unit = Literal["evidence", "share", "gate", "value"]
"""Of values: `evidence` of a class activation map and `share` of an attention that is divided among positions, both
drawn as multiples of the map's mean; `gate`, mostly in (0, 1); `value`, any."""
Floats = NDArray[np.float32]


BOX = "#00d0d0"
"""Colour of the box of an object."""


class Mark(NamedTuple):
    """A rectangle that is drawn over an image and its maps.

    Attributes:
        box: (4,), left, top, right and bottom edge in pixels.
        colour: of its edges, as HTML has it.
        words: above it in the image alone.
    """

    box: NDArray[np.float32]
    colour: str = BOX
    words: str = ""


@dataclass(frozen=True, eq=False)
class Panel:
    """A column of a picture.

    Attributes:
        name: unique in a picture; of the form `stage1.out/M`.
        title: what is written above it.
        values: maps (N, h, w), or the heights of bars (N, K).
        unit: of the values.
        captions: a text for each image; none if empty.
        labels: names of the bars; their numbers if empty.
        compared: (N, K), a second series to draw beside the bars.
        scored: whether the maps' localisation is measured.
    """

    name: str
    title: str
    values: Floats
    unit: Unit = "value"
    captions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    compared: Floats | None = None
    scored: bool = field(default=True)

    @property
    def is_map(self) -> bool:
        """Whether the values are maps."""
        return self.values.ndim == 3

    @property
    def shown(self) -> Floats:
        """The values as they are drawn: shares and evidence as multiples of each map's mean; 1 is a uniform map's."""
        if not (self.is_map and self.unit in ("evidence", "share")):
            return self.values
        mean = self.values.mean((1, 2), keepdims=True)
        return np.divide(self.values, mean, out=np.zeros_like(self.values), where=mean > 0)


def array(values: Tensor) -> Floats:
    """Return a tensor as a float32 array."""
    result: Floats = values.detach().float().cpu().numpy()
    return result


def joined(batches: Sequence[Sequence[Panel]]) -> list[Panel]:
    """Join the panels of consecutive batches; each batch has the same ones."""
    return [_join_one(parts) for parts in zip(*batches, strict=True)]


def _join_one(parts: Sequence[Panel]) -> Panel:
    compared = [part.compared for part in parts if part.compared is not None]
    return replace(
        parts[0],
        values=np.concatenate([part.values for part in parts]),
        captions=tuple(caption for part in parts for caption in part.captions),
        compared=np.concatenate(compared) if compared else None,
    )
