"""Detections of a test in COCO's format of results, one JSON list of `image_id`, `category_id`, `bbox` and `score`.

`pycocotools` reads such a file (`COCO.loadRes`). A box is left edge, top edge, width and height, in pixels of the
original image.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnbench.runs.files import write_all

SUFFIX = ".json"
DIGITS = 2
"""Decimals of a box's edges."""


@dataclass(frozen=True)
class SavedDetections:
    """The detections of a test.

    Args:
        images: of each image, boxes (M, 4), labels (M,) from 1 and scores (M,), as tensors.
        image_ids: of each image.
        category_ids: of each class.
    """

    images: Sequence[dict[str, Any]]
    image_ids: Sequence[int]
    category_ids: Sequence[int]

    def rows(self) -> list[dict[str, Any]]:
        """Return the list of results."""
        return [
            {
                "image_id": image_id,
                "category_id": self.category_ids[label - 1],
                "bbox": [round(value, DIGITS) for value in (left, top, right - left, bottom - top)],
                "score": round(score, 5),
            }
            for image_id, image in zip(self.image_ids, self.images, strict=True)
            for (left, top, right, bottom), label, score in zip(
                image["boxes"].tolist(), image["labels"].tolist(), image["scores"].tolist(), strict=True
            )
        ]

    def write(self, path: Path) -> None:
        """Replace the file beside where a classifier's predictions are: the suffix is `.json`."""
        write_all({path.with_suffix(SUFFIX): json.dumps(self.rows()) + "\n"})
