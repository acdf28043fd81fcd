"""Adience: Eidinger, Enbar, Hassner, "Age and Gender Estimation of Unfiltered Faces", IEEE TIFS 2014.

A folder `adience/` holds `fold_0_data.txt` to `fold_4_data.txt` (tab-separated columns) and the faces that they list:
`aligned/<user_id>/landmark_aligned_face.<face_id>.<original_image>` or
`faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>`.

No person is in two folds: one fold is the test set and the other four are for training; papers print the mean of the
five. Faces without a gender (`u` or empty) are left out for gender. For age, a face belongs to the group that contains
its whole label: `(25, 32)`, `(27, 32)` and `29` are 25-32. Labels between groups (`35`) or across several (`(38, 48)`),
and `None`, belong to no group: such faces are left out, and their number is logged. Published code differs here: some
also leaves out single ages and `(27, 32)`, some takes the nearest group.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attnbench.data.bases.published import LabelledSplits, PublishedDataSet
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import LabelFileError, read_lines
from attnbench.data.sources.left_out import LeftOut, warn_once
from attnbench.errors import require, require_choice

AGES = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
CLASSES = {"age": ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+"), "gender": ("female", "male")}
GENDERS = {"f": 0, "m": 1}
PREFIXES = {"aligned": "landmark_aligned_face", "faces": "coarse_tilt_aligned_face"}
FOLDS = 5
NONE = -1
COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")


class Face(NamedTuple):
    """A line of a fold's list; the label is `NONE` if the face belongs to no class."""

    user: str
    path: str
    label: int


class Adience(PublishedDataSet):
    """About 26,580 faces of 2,284 people.

    Faces held out for validation are of other people than those trained on, so they may be fewer than
    `data.validation`.

    Args:
        task: `age`, of 8 groups, or `gender`.
        fold: the one of five that is the test set.
        faces: `aligned` by facial landmarks, or `faces` as detected.
        options: see `FileDataSet`.
    """

    name = "adience"
    folder = "adience"
    required = tuple(f"fold_{fold}_data.txt" for fold in range(FOLDS))
    counts = (26_580,)
    terms = "research only; photos from Flickr under Creative Commons licences"
    source = "given on registration by the Open University of Israel, page of Adience"
    read_options = ("task", "fold", "faces")

    def __init__(self, task: str = "age", fold: int = 0, faces: str = "aligned", **options: Any) -> None:
        require_choice("task", task, tuple(CLASSES))
        require(0 <= fold < FOLDS, "fold", fold, f"must be from 0 to {FOLDS - 1}")
        require_choice("faces", faces, tuple(PREFIXES))
        self.task, self.fold, self.faces = task, fold, faces
        self.required = (*type(self).required, faces)
        super().__init__(**options)

    @property
    def num_classes(self) -> int:
        return len(CLASSES[self.task])

    @property
    def all_classes(self) -> int:
        return self.num_classes

    def read(self) -> LabelledSplits:
        """Read the faces that have a label. Log once how many have none, and which people are in several folds."""
        folds = [self._read_fold(self.path_of(name)) for name in self.required[:FOLDS]]
        labels = [face.label for faces in folds for face in faces]
        if NONE in labels:
            faces_left_out = f"{labels.count(NONE):,} of {len(labels):,} faces"
            warn_once(f"data=adience: leaves out {faces_left_out}, which have no label for {self.task}")
        people = Counter(user for faces in folds for user in {face.user for face in faces})
        several = sorted(user for user, times in people.items() if times > 1)
        if several:
            warn_once(f"data=adience: the folds in {self.home} share people: {first_few(several)}")
        labelled = [[face for face in faces if face.label != NONE] for faces in folds]
        tested = labelled.pop(self.fold)
        trained = [face for faces in labelled for face in faces]
        _, groups = np.unique([face.user for face in trained], return_inverse=True)
        return LabelledSplits(CLASSES[self.task], self._split(trained), self._split(tested), groups=groups)

    def left_out(self) -> LeftOut:
        return LeftOut()  # `read` counts the faces without a label, and other folds list the rest

    def _split(self, faces: Sequence[Face]) -> ImageFiles:
        return ImageFiles.from_lists(self.home, [face.path for face in faces], [face.label for face in faces])

    def _read_fold(self, path: Path) -> list[Face]:
        head, *lines = [line.split("\t") for line in read_lines(path)] or [[]]
        missing = [column for column in COLUMNS if column not in head]
        if missing:
            raise LabelFileError(path, f"has no column {first_few(missing)}")
        indices = [head.index(column) for column in COLUMNS]
        short = ["\t".join(line)[:80] for line in lines if len(line) <= max(indices)]
        if short:
            raise LabelFileError(path, f"has lines without all columns: {first_few(short)}")
        rows = ([line[index].strip() for index in indices] for line in lines)
        return [
            Face(user, f"{self.faces}/{user}/{PREFIXES[self.faces]}.{face}.{image}", self._label(age, gender))
            for user, image, face, age, gender in rows
        ]

    def _label(self, age: str, gender: str) -> int:
        return age_group(age) if self.task == "age" else GENDERS.get(gender, NONE)


def age_group(age: str) -> int:
    """Return the group that contains a whole age label, such as `(25, 32)` or `29`, or `NONE`."""
    numbers = [int(number) for number in re.findall(r"\d+", age)]
    fitting = (group for group, (first, last) in enumerate(AGES) if first <= min(numbers) and max(numbers) <= last)
    return next(fitting, NONE) if numbers else NONE
