"""The base class of sets in the usual layout of image folders: `root/<split>/<class>/<image>`."""

import os
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, cast

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.find_layout import where_classes_are
from attnbench.data.sources.folders import EXTENSIONS, folders_in, images_below, leave_out_beside, walk
from attnbench.data.sources.image_files import ImageFiles, first_few, read_classes
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.sources.split_names import roles, split_folders
from attnbench.data.splits import Split
from attnbench.errors import UserError


class SplitFolders(FileDataSet):
    """Classes are the folders below `train`, in alphabetical order. Options as in `FileDataSet`.

    Attributes:
        instructions: for messages, how to lay the images out.
        test: images of `train` to hold out for testing, if the set can.
    """

    instructions: ClassVar[str]
    test: float = 0

    @property
    def folders(self) -> dict[Split, str]:
        """The folder of each split on disk."""
        return roles(split_folders(self.root), self.name, self.root, tested=bool(self.test))

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once the folder is read
        """Names of the classes. Raises `UserError` if the folder is missing or incomplete."""
        self.check_layout()
        return tuple(folders_in(self.root / self.folders["train"]))

    def check_layout(self) -> None:
        folders = self.folders
        if "train" not in folders:
            hint = where_classes_are(self.root) or self.instructions
            raise self.layout_error(f"no train folder in {self.root}; {hint}")
        train = self.root / folders["train"]
        classes = folders_in(train)
        if len(classes) < 2:
            raise self.layout_error(f"{train} holds {len(classes)} class folders; {self.instructions}")
        for folder in folders.values():
            self._require_classes(self.root / folder, classes)

    def layout_error(self, problem: str) -> UserError:
        """Build the error for files that are not where they should be."""
        return UserError(f"data={self.name}: {problem}")

    def _require_classes(self, folder: Path, classes: Sequence[str]) -> None:
        """Raise `UserError` for class folders that `train` lacks or that hold no image."""
        present = folders_in(folder)
        if not present:
            raise self.layout_error(f"{folder} holds no class folders")
        unknown = sorted(set(present) - set(classes))
        if unknown:
            raise self.layout_error(f"{folder} has classes that train lacks: {first_few(unknown)}")
        self.require_images(folder, present)

    def require_images(self, folder: Path, classes: Sequence[str]) -> None:
        """Raise `UserError` for class folders that hold no image."""
        empty = [name for name in classes if not len(images_below(str(folder / name)))]
        if empty:
            problem = f"no image in {first_few(empty)} (images end in {' '.join(EXTENSIONS)})"
            raise self.layout_error(f"{folder}: {problem}")

    def files(self, split: Split) -> ImageFiles:
        if split not in self.folders:
            return ImageFiles.empty(self.root)
        return read_classes(self.root, self.folders[split], self.classes)

    def listed(self, split: Split) -> ImageFiles:
        return cast(ImageFiles, super().listed(split))

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        leave_out_beside(left_out, self.root, "", self.folders.values())
        for folder in self.folders.values():
            self.leave_out_classes(left_out, folder, folders_in(self.root / folder))
        return left_out

    def leave_out_classes(self, left_out: LeftOut, folder: str, classes: Sequence[str]) -> None:
        """Count what is not used in a folder below `root` that holds class folders."""
        prefix = f"{folder}/" if folder else ""
        leave_out_beside(left_out, self.root / folder, prefix, classes)
        for name in classes:
            deque(walk(os.fspath(self.root / folder / name), left_out, f"{prefix}{name}/"), maxlen=0)
