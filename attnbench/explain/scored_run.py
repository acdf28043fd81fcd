"""One run on chosen images: its explanation, the scores of its maps, and their means beside the record."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attnbench.data.loaders.chosen import ChosenImages, choose_images, split_size
from attnbench.errors import UserError
from attnbench.explain.archive import Scores, mean_of, summarised
from attnbench.explain.cams import METHODS
from attnbench.explain.draw import ROWS
from attnbench.explain.explanation import Explanation, explain
from attnbench.explain.measure import cuts_of, faithfulness, localisation, merged
from attnbench.explain.pick import read_test_images
from attnbench.explain.scores import Cuts
from attnbench.runs.explanation_entry import ExplanationEntry
from attnbench.runs.explanations import Request, keep_explanation
from attnbench.runs.folder import RunFolder
from attnbench.runs.record_writer import now
from attnbench.training.trained_run import LoadedRun, TrainedRun
from attnbench.version import __version__

MOST = 500
"""Validation images on which thresholds are chosen, at most; otherwise as many as images are scored."""
ENERGY = "energy_in_box"


class Found(NamedTuple):
    """An explanation and the scores of its maps, which are empty where nothing was measured."""

    explanation: Explanation
    scores: Scores


def explain_run(run: TrainedRun, request: Request, chosen: ChosenImages, name: str) -> Explanation:
    """Explain what a run sees in images. Raises `UserError` as `require_finite` does."""
    found = explain(
        run,
        chosen.images,
        labels=chosen.labels,
        boxes=chosen.boxes,
        target=request.explained_class,
        methods=request.methods,
        layers=request.layers,
        names=chosen.names,
        name=name,
        keep=ROWS,
    )
    require_finite(found)
    return found


def require_finite(found: Explanation) -> None:
    """Raise `UserError` if a map holds values that are not finite, as those of a network that diverged do."""
    for panel in found.panels:
        if not np.isfinite(panel.values).all():
            raise UserError(f"{found.name}: {panel.name} holds values that are not finite, so nothing can be shown")


def score_maps_of(run: TrainedRun, request: Request, found: Explanation) -> tuple[Scores, str]:
    """Return the scores of an explanation's maps, and the images on which thresholds were chosen.

    There are none of localisation where no image has a box.
    """
    cuts = cuts_for(run, request) if found.boxes is not None else {}
    measured = localisation(found, cuts)
    scores = merged(measured, faithfulness(run.model, found)) if request.faithfulness else measured
    return scores, "validation" if cuts else "test"


def cuts_for(run: TrainedRun, request: Request) -> dict[str, Cuts]:
    """Return the thresholds of box accuracy, chosen on validation images; none without such images."""
    data = run.data
    if "validation" not in data.splits:
        return {}
    count = split_size(data, "validation")
    numbers = np.random.default_rng(request.seed).permutation(count)[: min(request.images, MOST)]
    chosen = choose_images(data, "validation", np.sort(numbers))
    return {} if chosen.boxes is None else cuts_of(explain_run(run, request, chosen, "validation"))


def keep_scores(run: LoadedRun, request: Request, found: Explanation, measured: Scores, thresholds: str) -> None:
    """Keep the means of scores beside the run's record.

    Args:
        run: that was explained.
        request: what was asked for.
        found: the explanation.
        measured: the scores of its maps.
        thresholds: the images on which those of box accuracy were chosen.

    Raises:
        UserError: that cannot be done.
    """
    entry = ExplanationEntry(
        checkpoint=request.checkpoint,
        images=len(found),
        pick=request.pick,
        seed=request.seed,
        explained_class=request.explained_class,
        methods=list(request.methods),
        layers=[panel.name for panel in found.cams],
        thresholds=thresholds,
        maps=summarised(measured, found.labels.tolist()),
        version=__version__,
        written=now(),
    )
    keep_explanation(RunFolder(run.folder), request.key, entry)


def score_and_keep(run: TrainedRun, request: Request, explanation: Explanation) -> Found:
    """Score the maps of an explanation, and keep the means of test images. Raises `UserError` as `keep_scores` does."""
    scores, thresholds = score_maps_of(run, request, explanation)
    if scores and not request.files:
        keep_scores(run, request, explanation, scores, thresholds)
    return Found(explanation, scores)


def score_run(run: TrainedRun, request: Request, name: str) -> str:
    """Explain test images by a run, keep the scores of its maps, and return the line that says what was found.

    Where objects have no boxes there may be no scores; that is kept too.

    Raises:
        UserError: the run's test images cannot be explained, or the scores cannot be kept.
    """
    found = explain_run(run, request, read_test_images([run], request), name)
    measured, thresholds = score_maps_of(run, request, found)
    keep_scores(run, request, found, measured, thresholds)
    return describe(found, measured, {})


def energy_of(found: Explanation, measured: Scores) -> float | None:
    """Return the share of the first class activation map's energy that is in the box; None if it was not measured."""
    first = found.cams[0].name if found.cams else ""
    return mean_of(measured[first][ENERGY]).value if ENERGY in measured.get(first, {}) else None


def describe(found: Explanation, measured: Scores, others: Mapping[str, float]) -> str:
    """Return one line about an explanation. others: energies in the box of other runs, by name."""
    parts = [found.name, f"{len(found)} images"]
    if (found.labels >= 0).all():
        parts.append(f"{int((found.predicted == found.labels).sum())} right")
    if not found.cams:
        return " · ".join(parts)
    _, method, layer = found.cams[0].name.split("/")
    parts.append(f"{METHODS[method][1]} at {layer}")
    energy = energy_of(found, measured)
    if energy is not None:
        uniform = mean_of(measured["uniform"][ENERGY]).value
        beside = [f"{name} {value:.2f}" for name, value in {"uniform map": uniform, **others}.items()]
        parts.append(f"energy in box {energy:.2f} ({', '.join(beside)})")
    if len(found.panels) == len(found.cams):
        parts.append("the attention has no maps")
    return " · ".join(parts)
