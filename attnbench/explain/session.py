"""What `attnbench explain` does: choose images, explain them by each run, draw, score, and keep the results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attnbench.data.loaders.chosen import ChosenImages, choose_images, read_image_files, split_size
from attnbench.explain.archive import Scores, keep_entry, mean_of, summarised, write_maps, write_scores
from attnbench.explain.cams import METHODS, check_method
from attnbench.explain.draw import ROWS, draw_comparison, draw_sheet, save, scales_of
from attnbench.explain.explanation import PREDICTED, TRUE, Explanation, explain
from attnbench.explain.gallery import MOST_IMAGES, write_gallery
from attnbench.explain.measure import cuts_of, faithfulness, localisation, merged
from attnbench.explain.pick import names_of, pick_images, require_same_images
from attnbench.explain.scores import Cuts
from attnbench.runs.files import shown
from attnbench.runs.folder import RunFolder
from attnbench.runs.predictions import Pick
from attnbench.runs.record_writer import now
from attnbench.training.trained_run import TrainedRun
from attnbench.version import __version__

MOST = 500
"""Validation images on which thresholds are chosen, at most; otherwise as many as images are scored."""


@dataclass(frozen=True)
class Request:
    """What is to be explained.

    Attributes:
        images: number of test images.
        files: image files, in place of test images.
        pick: which test images.
        seed: of the choice.
        target: the class to explain: `true`, `predicted`, or a name; None for `true` where classes are known.
        layers: where class activation maps are taken; empty for the default.
        methods: of class activation maps.
        faithfulness: whether insertion, deletion and randomised weights are measured too.
        checkpoint: `last` or `best`.
    """

    images: int
    files: tuple[Path, ...] = ()
    pick: Pick = "random"
    seed: int = 0
    target: str | None = None
    layers: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("gradcam",)
    faithfulness: bool = False
    checkpoint: str = "last"

    @property
    def explained_class(self) -> str:
        """The class to explain, resolved."""
        return self.target or (PREDICTED if self.files else TRUE)

    @property
    def key(self) -> str:
        """The entry's name in `explanations.json`."""
        images = f"{self.checkpoint} {self.images} {self.pick} images seed{self.seed}"
        layers = ",".join(self.layers) or "default"
        return f"{images} class={self.explained_class} method={','.join(self.methods)} layers={layers}"


class Session:
    """Explains images by several runs.

    Args:
        runs: of the same data.
        request: what is to be explained.
        place: the folder for pictures, maps and scores.

    Raises:
        UserError: the request does not fit the runs, or no image qualifies.
    """

    def __init__(self, runs: Sequence[TrainedRun], request: Request, place: Path) -> None:
        for method in request.methods:
            check_method(method)
        require_same_images(runs)
        self.runs, self.request, self.place = runs, request, place
        self.names = names_of(runs)
        self.chosen = self._choose()

    def _choose(self) -> ChosenImages:
        data, request = self.runs[0].data, self.request
        if request.files:
            return read_image_files(data, request.files)
        numbers = pick_images(self.runs, request.images, request.pick, request.seed)
        return choose_images(data, "test", numbers)

    def explanations(self) -> list[Explanation]:
        """Explain the images by each run."""
        return [self._explain(run, name, self.chosen) for run, name in zip(self.runs, self.names, strict=True)]

    def lines(self) -> Iterator[str]:
        """Explain, write all files, and yield the lines that say what was found and where the files are."""
        found = self.explanations()
        scores = [self._score(run, explanation) for run, explanation in zip(self.runs, found, strict=True)]
        scales = scales_of(found, MOST_IMAGES)
        for run, explanation, measured in zip(self.runs, found, scores, strict=True):
            stem = self._stem(run)
            save(draw_sheet(explanation, scales), stem.with_name(f"{stem.name}.png"))
            write_maps(stem.with_name(f"{stem.name}.npz"), explanation)
            if measured:
                write_scores(stem.with_name(f"{stem.name}.csv"), explanation, measured)
            if measured and not self.request.files:
                self._keep(run, explanation, measured)
            yield self._line(explanation, measured, found, scores)
            yield f"  {shown(stem)}{{.png,.npz{',.csv' if measured else ''}}}"
        if len(found) > 1:
            path = self.place / "comparison.png"
            save(draw_comparison(found), path)
            yield f"comparison: {shown(path)}"
        page = (self.place / "comparison" if len(found) > 1 else self._stem(self.runs[0])).with_suffix(".html")
        write_gallery(page, found, scales)
        yield f"gallery: {shown(page)}"

    def _stem(self, run: TrainedRun) -> Path:
        """Return the path of a run's files, without an ending."""
        return self.place / f"{run.folder.parent.name}-{run.folder.name}"

    def _explain(self, run: TrainedRun, name: str, chosen: ChosenImages) -> Explanation:
        request = self.request
        return explain(
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

    def _score(self, run: TrainedRun, found: Explanation) -> Scores:
        measured = localisation(found, self._cuts(run)) if found.boxes is not None else {}
        return merged(measured, faithfulness(run.model, found)) if self.request.faithfulness else measured

    def _cuts(self, run: TrainedRun) -> dict[str, Cuts]:
        """Return the thresholds of box accuracy, chosen on validation images; none without such images."""
        data = run.data
        if "validation" not in data.splits:
            return {}
        count = split_size(data, "validation")
        numbers = np.random.default_rng(self.request.seed).permutation(count)[: min(self.request.images, MOST)]
        chosen = choose_images(data, "validation", np.sort(numbers))
        return {} if chosen.boxes is None else cuts_of(self._explain(run, "validation", chosen))

    def _keep(self, run: TrainedRun, found: Explanation, measured: Scores) -> None:
        request = self.request
        entry = {
            "checkpoint": request.checkpoint,
            "images": len(found),
            "pick": request.pick,
            "seed": request.seed,
            "class": request.explained_class,
            "methods": list(request.methods),
            "layers": [panel.name for panel in found.cams],
            "thresholds": "validation" if "validation" in run.data.splits else "test",
            "maps": summarised(measured, found.labels.tolist()),
            "version": __version__,
            "written": now(),
        }
        keep_entry(RunFolder(run.folder), request.key, entry)

    def _line(
        self, found: Explanation, measured: Scores, others: Sequence[Explanation], all_scores: Sequence[Scores]
    ) -> str:
        parts = [found.name, f"{len(found)} images"]
        if (found.labels >= 0).all():
            parts.append(f"{int((found.predicted == found.labels).sum())} right")
        if not found.cams:
            return " · ".join(parts)
        first = found.cams[0].name
        _, method, layer = first.split("/")
        parts.append(f"{METHODS[method][1]} at {layer}")
        measure = "energy_in_box"
        if measure in measured.get(first, {}):
            beside = [f"uniform map {mean_of(measured['uniform'][measure]).value:.2f}"]
            beside += [  # each by its own first map
                f"{other.name} {mean_of(scores[other.cams[0].name][measure]).value:.2f}"
                for other, scores in zip(others, all_scores, strict=True)
                if other is not found
            ]
            parts.append(f"energy in box {mean_of(measured[first][measure]).value:.2f} ({', '.join(beside)})")
        if len(found.panels) == len(found.cams):
            parts.append("the attention has no maps")
        return " · ".join(parts)
