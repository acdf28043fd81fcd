"""What `attnbench explain` does: choose images, explain them by each run, score, keep the scores, and draw."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from attnbench.data.loaders.chosen import ChosenImages, choose_images, denormalised, read_image_files
from attnbench.explain.archive import write_maps, write_scores
from attnbench.explain.cams import check_method
from attnbench.explain.draw import DPI, draw_comparison, draw_sheet, scales_of
from attnbench.explain.explanation import Explanation, choose_targets
from attnbench.explain.gallery import MOST_IMAGES, write_gallery
from attnbench.explain.kept import Images
from attnbench.explain.panels import array
from attnbench.explain.pick import names_of, numbered, read_test_images, require_same_images
from attnbench.explain.probes import named_layers
from attnbench.explain.scored_run import Found, describe, energy_of, explain_run, score_and_keep
from attnbench.runs.evaluations import Evaluation
from attnbench.runs.explanations import Request
from attnbench.runs.figures import write_figure
from attnbench.runs.files import shown
from attnbench.training.trained_run import LoadedRun, TrainedRun


class ExplainSession(ABC):
    """Explains images by several runs, and writes pictures, maps and scores.

    Args:
        runs: of the same data.
        request: what is to be explained.
        place: the folder for pictures, maps and scores.

    Raises:
        UserError: the request does not fit the runs, or no image qualifies.
    """

    def __init__(self, runs: Sequence[LoadedRun], request: Request, place: Path) -> None:
        for method in request.methods:
            check_method(method)
        require_same_images(runs)
        for run in runs:  # before one of them is explained
            named_layers(run.model, request.layers)
        self.runs, self.request, self.place = runs, request, place
        self.names = names_of(runs)
        self.stems = numbered([f"{run.folder.parent.name}-{run.folder.name}" for run in runs], "{}-{}")

    @property
    @abstractmethod
    def images(self) -> Images:
        """The images that are explained."""

    @abstractmethod
    def explain(self, number: int) -> Explanation:
        """Explain the images by the run of this number. Raises `UserError` if that cannot be done."""

    def find_one(self, number: int) -> Found:
        """Explain the images by one run, and score the maps if they can be scored; here they cannot."""
        return Found(self.explain(number), {})

    def explanations(self) -> list[Explanation]:
        """Explain the images by each run."""
        return [self.explain(number) for number in range(len(self.runs))]

    def find(self) -> list[Found]:
        """Explain the images by each run, and score the maps."""
        return [self.find_one(number) for number in range(len(self.runs))]

    def lines(self, found: Sequence[Found]) -> Iterator[str]:
        """Write all files, and yield the lines that say what was found and where the files are.

        Args:
            found: explanations by some of the runs, at least one, each under the run's name.
        """
        explanations = [explanation for explanation, _ in found]
        scales = scales_of(explanations, MOST_IMAGES)
        energies = {explanation.name: energy_of(explanation, scores) for explanation, scores in found}
        for explanation, scores in found:
            stem = self._stem(explanation)
            write_figure(draw_sheet(explanation, scales), stem.with_name(f"{stem.name}.png"), DPI)
            write_maps(stem.with_name(f"{stem.name}.npz"), explanation)
            if scores:
                write_scores(stem.with_name(f"{stem.name}.csv"), explanation, scores)
            others = {name: value for name, value in energies.items() if value is not None and name != explanation.name}
            yield describe(explanation, scores, others)
            yield f"  {shown(stem)}{{.png,.npz{',.csv' if scores else ''}}}"
        if len(found) > 1:
            path = self.place / "comparison.png"
            write_figure(draw_comparison(explanations), path, DPI)
            yield f"comparison: {shown(path)}"
        page = (self.place / "comparison" if len(found) > 1 else self._stem(explanations[0])).with_suffix(".html")
        write_gallery(page, explanations, scales)
        yield f"gallery: {shown(page)}"

    def _stem(self, explanation: Explanation) -> Path:
        """Return the path of a run's files, without an ending."""
        return self.place / self.stems[self.names.index(explanation.name)]


class Session(ExplainSession):
    """Explains images by several classifiers; arguments and errors as of `ExplainSession`."""

    runs: Sequence[TrainedRun]

    def __init__(self, runs: Sequence[TrainedRun], request: Request, place: Path) -> None:
        super().__init__(runs, request, place)
        self.chosen = self._choose()
        labels = self.chosen.labels
        choose_targets(request.explained_class, labels, labels, runs[0].classes)

    def _choose(self) -> ChosenImages:
        files = self.request.files
        return read_image_files(self.runs[0].data, files) if files else read_test_images(self.runs, self.request)

    @cached_property
    def images(self) -> Images:
        chosen, pictures = self.chosen, denormalised(self.chosen.images, self.runs[0].data)
        return Images(chosen.images, array(pictures), chosen.names, chosen.labels, chosen.boxes)

    def explain(self, number: int) -> Explanation:
        return explain_run(self.runs[number], self.request, self.chosen, self.names[number])

    def find_one(self, number: int) -> Found:
        """Explain the images by one run, score the maps, and keep the scores."""
        return score_and_keep(self.runs[number], self.request, self.explain(number))


def explain_one(evaluation: Evaluation, request: Request, numbers: Sequence[int]) -> Found:
    """Explain images by one classifier, score the maps, and keep the scores.

    Args:
        evaluation: of the run that is to be explained.
        request: what is to be explained, and the image files, if it names any.
        numbers: of the test images, if not.

    Raises:
        UserError: the run or the images cannot be loaded, or the request does not fit them.
    """
    run, files = TrainedRun(evaluation), request.files
    chosen = (
        read_image_files(run.data, files) if files else choose_images(run.data, "test", np.array(numbers, np.int64))
    )
    return score_and_keep(run, request, explain_run(run, request, chosen, run.folder.parent.name))
