"""Score all maps of an explanation, beside maps that know nothing of the image."""

from collections.abc import Mapping

import numpy as np

from attnbench.classifier import Classifier
from attnbench.explain.archive import Scores
from attnbench.explain.explanation import Explanation
from attnbench.explain.faithfulness import confidence_change, insertion_deletion, sanity
from attnbench.explain.panels import Floats
from attnbench.explain.road import road
from attnbench.explain.scores import Booleans, Cuts, best_cuts, overlaps, reference_maps, resize_maps, score_maps


def boxed(found: Explanation) -> Booleans:
    """Return which images (N,) have a box that is not empty."""
    if found.boxes is None:
        return np.zeros(len(found), np.bool_)
    left, top, right, bottom = found.boxes.T
    return (right > left) & (bottom > top)  # comparisons with NaN are false


def scored_maps(found: Explanation, with_attention: bool = True) -> dict[str, Floats]:
    """Return the maps (N, H, W) to be scored by name, at the images' size, with the reference maps at the end."""
    size = found.pictures.shape[2:]
    panels = [panel for panel in found.panels if panel.is_map and panel.scored]
    chosen = panels if with_attention else found.cams
    maps = {panel.name: resize_maps(panel.values, *size) for panel in chosen}
    return maps | reference_maps(len(found), *size)


def cuts_of(found: Explanation) -> dict[str, Cuts]:
    """Return the thresholds at which the maps of an explanation fit its boxes best, by map."""
    has, boxes = boxed(found), found.boxes
    if boxes is None or not has.any():
        return {}
    return {name: best_cuts(overlaps(maps[has], boxes[has])) for name, maps in scored_maps(found).items()}


def localisation(found: Explanation, cuts: Mapping[str, Cuts]) -> Scores:
    """Return the scores (N,) of localisation by map and measure, NaN for images without a box; none without boxes.

    Args:
        found: the explanation.
        cuts: thresholds by map, chosen on validation images; those that lack are chosen on these images.
    """
    has, boxes = boxed(found), found.boxes
    if boxes is None or not has.any():
        return {}
    scores = {}
    for name, maps in scored_maps(found).items():
        scores[name] = {
            measure: _spread_out(values, has)
            for measure, values in score_maps(maps[has], boxes[has], cuts.get(name)).items()
        }
    return scores


def _spread_out(values: Floats, has: Booleans) -> Floats:
    whole = np.full(len(has), np.nan, np.float32)
    whole[has] = values
    return whole


def faithfulness(net: Classifier, found: Explanation) -> Scores:
    """Return the measures of `FAITHFULNESS` and the resemblance to a network with randomised weights (N,), by map.

    They are measured for class activation maps and, except for the resemblance, for the reference maps.

    Args:
        net: the network.
        found: its explanation.
    """
    scores: dict[str, dict[str, Floats]] = {}
    panels = {panel.name: panel for panel in found.cams}
    for name, maps in scored_maps(found, with_attention=False).items():
        scores[name] = {
            measure: values
            for score in (insertion_deletion, road, confidence_change)
            for measure, values in score(net, found.images, found.targets, maps).items()
        }
        if name in panels:
            _, method, layer = name.split("/")
            values = sanity(net, found.images, found.targets.tolist(), layer, method, panels[name].values)
            scores[name]["randomised_correlation"] = values
    return scores


def merged(*several: Scores) -> dict[str, dict[str, Floats]]:
    """Return the measures of several scores together, by map."""
    names = list(dict.fromkeys(name for scores in several for name in scores))
    return {name: {k: v for scores in several for k, v in scores.get(name, {}).items()} for name in names}
