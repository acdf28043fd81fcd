"""PASCAL VOC's average precision, as its development kits compute it.

Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010, section 4.2; `VOCevaldet.m` and
`VOCap.m` of VOCdevkit. Detections of a class are matched in falling order of their scores, each to the object with
which its overlap is largest. It is correct if that overlap is 0.5 or more and the object has not been found before; it
is not counted if the object is marked difficult. The kit counts pixels from 1, with the last one in the box: as boxes
end behind their last pixel here, overlaps are the same.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import box_iou

OVERLAP = 0.5
Points = Literal["eleven", "all"]
"""Recalls at which the precision is read: 0, 0.1 … 1 (VOC 2007), or all (from VOC 2010 on)."""


def average_precision(correct: NDArray[np.bool_], objects: int, points: Points) -> float:
    """Return the average precision of one class.

    Args:
        correct: (D,) of the detections that count, in falling order of their scores.
        objects: number of objects that count.
        points: at which recalls.
    """
    found = np.cumsum(correct)
    recall, precision = found / objects, found / np.arange(1, len(correct) + 1)
    if points == "eleven":
        at = [precision[recall >= level - 1e-9].max(initial=0.0) for level in np.linspace(0, 1, 11)]
        return float(np.mean(at))
    falling = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or above
    return float(np.sum(np.diff(recall, prepend=0.0) * falling))


def correct_detections(
    images: Sequence[int], boxes: Tensor, scores: Tensor, objects: Sequence[tuple[Tensor, NDArray[np.bool_]]]
) -> NDArray[np.bool_]:
    """Match the detections of one class to its objects.

    Args:
        images: D, the image of each detection.
        boxes: (D, 4).
        scores: (D,).
        objects: of each image, its boxes (M, 4) of this class and whether each is difficult (M,).

    Returns:
        Whether each detection that counts is correct, in falling order of the scores.
    """
    found = [np.zeros(len(own), np.bool_) for own, _ in objects]
    correct: list[bool] = []
    for detection in scores.argsort(descending=True, stable=True).tolist():
        image = images[detection]
        own, difficult = objects[image]
        overlap = box_iou(boxes[detection, None], own)[0].numpy() if len(own) else np.zeros(1)
        best = int(overlap.argmax())
        if overlap[best] < OVERLAP:
            correct.append(False)
        elif not difficult[best]:
            correct.append(not found[image][best])
            found[image][best] = True
    return np.array(correct, np.bool_)
