"""How well maps show where an object is: pointing game, energy in the box, and box accuracy.

Boxes (left, top, right, bottom edge) are in pixels of the network's input, to whose size maps are resized bilinearly.
A map's values below 0 count as 0, and a map that is 0 everywhere as wrong: it points nowhere.

Definitions, and where ours leave the reference code:

- pointing game (Zhang et al., IJCV 2018; TorchRay): the map's maximum is in the box, or, with a tolerance, nearer to it
  than so many pixels. Of equal maxima, the one nearest to their centre counts, so that a uniform map points at the
  image's centre. TorchRay's tolerance of 0 can never hit, as its comparison is strict; ours is the test "in the box".
- energy (Wang et al., "Score-CAM", 2020): the share of the map's sum that is in the box. The reference file exchanges
  rows and columns. A pixel that the box covers in part counts in part.
- MaxBoxAcc (Choe et al., CVPR 2020; wsolevaluation): a map, scaled to [0, 1], is cut at a threshold; the box of the
  largest connected region must have an IoU of at least 0.5 with the true one. V2 takes the best of all regions and the
  mean over IoUs of 0.3, 0.5 and 0.7. The threshold is the best one for a set of maps: of validation images where there
  are any with boxes, else of the same images, which is optimistic. Boxes here have edges, not last pixels; regions are
  measured by pixels, not by their contour's area; a uniform map has the whole image as its region.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from attnbench.explain.panels import Floats

TOLERANCE = 15
"""Pixels of the pointing game's usual tolerance."""
THRESHOLDS = np.arange(100) / 100
"""Cuts of a map that is scaled to [0, 1], as wsolevaluation's command line has them."""
OVERLAPS = (0.3, 0.5, 0.7)
"""IoUs that MaxBoxAccV2 averages over."""
Booleans = NDArray[np.bool_]


def resize_maps(maps: Floats, height: int, width: int) -> Floats:
    """Resize maps (N, h, w) bilinearly to (N, height, width); values below 0 become 0."""
    tensor = torch.from_numpy(np.ascontiguousarray(maps, np.float32))[:, None].clamp(min=0)
    resized: Floats = F.interpolate(tensor, (height, width), mode="bilinear", align_corners=False)[:, 0].numpy()
    return resized


def maxima(maps: Floats) -> NDArray[np.int64]:
    """Return row and column (N, 2) of each map's maximum; of equal ones, that nearest to their centre."""
    points = np.empty((len(maps), 2), np.int64)
    for index, values in enumerate(maps):
        best = np.argwhere(values == values.max())
        points[index] = best[((best - best.mean(0)) ** 2).sum(1).argmin()]
    return points


def pointing(maps: Floats, boxes: Floats, tolerance: float = 0) -> Booleans:
    """Return whether each map (N, H, W) has its maximum in the box (N, 4), or nearer to it than `tolerance` pixels."""
    row, column = (maxima(maps) + 0.5).T  # centres of pixels
    left, top, right, bottom = boxes.T
    across = np.maximum(np.maximum(left - column, column - right), 0)
    down = np.maximum(np.maximum(top - row, row - bottom), 0)
    distance = np.hypot(across, down)
    hit: Booleans = (distance == 0) | (distance < tolerance)
    return hit & (maps.max((1, 2)) > 0)


def coverage(boxes: Floats, height: int, width: int) -> Floats:
    """Return the share (N, height, width) of each pixel that a box (N, 4) covers."""
    columns, rows = np.arange(width), np.arange(height)
    left, top, right, bottom = (edge[:, None] for edge in boxes.T)
    across = np.clip(np.minimum(right, columns + 1) - np.maximum(left, columns), 0, 1)
    down = np.clip(np.minimum(bottom, rows + 1) - np.maximum(top, rows), 0, 1)
    return (down[:, :, None] * across[:, None, :]).astype(np.float32)


def energy(maps: Floats, boxes: Floats) -> Floats:
    """Return the share (N,) of each map's (N, H, W) sum that is in its box (N, 4); 0 for a map without evidence."""
    total = maps.sum((1, 2), dtype=np.float64)
    inside = (maps * coverage(boxes, *maps.shape[1:])).sum((1, 2), dtype=np.float64)
    return np.divide(inside, total, out=np.zeros_like(total), where=total > 0).astype(np.float32)


def iou(boxes: NDArray[np.float64], box: Floats) -> NDArray[np.float64]:
    """Return the intersection over union of boxes (M, 4) with one box (4,)."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    shared = np.clip(high - low, 0, None).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1) + np.prod(box[2:].astype(np.float64) - box[:2])
    return np.divide(shared, areas - shared, out=np.zeros_like(shared), where=areas > shared)


@dataclass(frozen=True)
class Overlaps:
    """IoU of the regions of N maps with their boxes, at each of T thresholds.

    Attributes:
        largest: (N, T), of the largest region.
        best: (N, T), of the region that fits best.
    """

    largest: Floats
    best: Floats


def overlaps(maps: Floats, boxes: Floats) -> Overlaps:
    """Return the overlaps of maps (N, H, W) with boxes (N, 4)."""
    pairs, found = [], None
    for index, (values, box) in enumerate(zip(maps, boxes, strict=True)):
        if found is None or not np.array_equal(values, maps[index - 1]):  # reference maps are all the same
            found = regions_of(values)
        pairs.append(_overlaps_of(found, box))
    return Overlaps(*(np.stack(parts).astype(np.float32) for parts in zip(*pairs, strict=True)))


class Regions(NamedTuple):
    """Connected regions of a map (H, W) above each threshold.

    level: (R,), index of the threshold. sizes: (R,), in pixels. boxes: (R, 4), left, top, right and bottom edges.
    """

    level: NDArray[np.int64]
    sizes: NDArray[np.int64]
    boxes: NDArray[np.float64]


def regions_of(values: Floats) -> Regions:
    """Return the regions of a map (H, W): of a uniform one the whole image, and none without evidence.

    The cuts at all thresholds are labelled as one tall image, with an empty row between them.
    """
    import cv2  # of the library grad-cam; it labels three times as fast as SciPy

    height, width = values.shape
    low, high = values.min(), values.max()
    if high <= low:
        level = np.arange(len(THRESHOLDS) if high > 0 else 0)
        whole = np.array([0.0, 0.0, width, height])
        return Regions(level, np.full(len(level), values.size), np.tile(whole, (len(level), 1)))
    cuts = np.zeros((len(THRESHOLDS), height + 1, width), np.uint8)
    cuts[:, :height] = (values - low) / (high - low) > THRESHOLDS[:, None, None]
    _, _, found, _ = cv2.connectedComponentsWithStats(cuts.reshape(-1, width), connectivity=8)
    left, top, across, down, sizes = found[1:].astype(np.int64).T  # without the background
    level, top = np.divmod(top, height + 1)
    return Regions(level, sizes, np.stack([left, top, left + across, top + down], 1).astype(np.float64))


def _overlaps_of(found: Regions, box: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the IoU with a box (4,) of the largest region and of the best one at each threshold (T,)."""
    fits = iou(found.boxes, box)
    largest, best = np.zeros(len(THRESHOLDS)), np.zeros(len(THRESHOLDS))
    np.maximum.at(best, found.level, fits)
    order = np.argsort(found.sizes, kind="stable")  # the largest region of each threshold is written last
    largest[found.level[order]] = fits[order]
    return largest, best


@dataclass(frozen=True)
class Cuts:
    """Thresholds, as indices into `THRESHOLDS`: of MaxBoxAcc, and of V2 for each of `OVERLAPS`."""

    v1: int
    v2: tuple[int, ...]


def best_cuts(found: Overlaps) -> Cuts:
    """Return the thresholds at which most maps fit their boxes."""
    v1 = int((found.largest >= 0.5).mean(0).argmax())
    return Cuts(v1, tuple(int((found.best >= least).mean(0).argmax()) for least in OVERLAPS))


def score_maps(maps: Floats, boxes: Floats, cuts: Cuts | None = None) -> dict[str, Floats]:
    """Score maps by every measure of localisation.

    Args:
        maps: (N, H, W), of the boxes' size.
        boxes: (N, 4).
        cuts: chosen on other images; None to choose them on these.

    Returns:
        The scores (N,) of each image by the measure's name; higher is better.
    """
    found = overlaps(maps, boxes)
    chosen = cuts or best_cuts(found)
    hits = [found.best[:, cut] >= least for cut, least in zip(chosen.v2, OVERLAPS, strict=True)]
    return {
        "pointing_game": pointing(maps, boxes).astype(np.float32),
        f"pointing_game_{TOLERANCE}px": pointing(maps, boxes, TOLERANCE).astype(np.float32),
        "energy_in_box": energy(maps, boxes),
        "box_accuracy": (found.largest[:, chosen.v1] >= 0.5).astype(np.float32),
        "box_accuracy_v2": np.mean(hits, axis=0, dtype=np.float32),
    }


def reference_maps(count: int, height: int, width: int) -> dict[str, Floats]:
    """Return the maps (N, H, W) that know nothing of the image: uniform, and a Gaussian at the centre.

    The Gaussian's deviation is a quarter of each side.
    """
    rows, columns = (np.linspace(-2, 2, size, endpoint=False) + 2 / size for size in (height, width))
    gaussian = np.exp(-(rows[:, None] ** 2 + columns[None, :] ** 2) / 2)
    flat = np.ones((height, width))
    return {
        name: np.broadcast_to(values.astype(np.float32), (count, height, width))
        for name, values in (("uniform", flat), ("centred Gaussian", gaussian))
    }
