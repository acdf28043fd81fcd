"""A user's own images: `root/train/<class>/<image>`, and the same below `val` (or `validation`) and `test`.

Where there is a `test` folder, `val` is the validation split; where there is none, `val` is what is tested on, and
`data.validation` images of `train` can be held out. With neither, nothing is tested.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import EXTENSIONS, ImageFiles, first_of, folders_in, images_below, read_classes
from attnbench.data.sources.split_names import WORDS, roles
from attnbench.data.splits import Split
from attnbench.errors import UserError


class ImageFolder(FileDataSet):
    """Classes are the folders below `train`, in alphabetical order. Options as in `FileDataSet`."""

    name = "image_folder"
    terms = "your own"
    how: ClassVar[str] = "set data.root to a folder that holds train/<class>/<image>, and the same below val or test"

    @property
    def folders(self) -> dict[Split, str]:
        """The folder of each split that is there."""
        return roles([word for word in WORDS if (self.root / word).is_dir()], self.name, self.root)

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known when the folder is read
        """Names of the classes. Raises `UserError` if there is no such folder."""
        self.look()
        return tuple(folders_in(self.root / "train"))

    def look(self) -> None:
        if not (self.root / "train").is_dir():
            raise UserError(f"data={self.name}: no train folder in {self.root}; {self.how}")
        classes = folders_in(self.root / "train")
        if len(classes) < 2:
            raise UserError(f"data={self.name}: {self.root / 'train'} holds {len(classes)} class folders; {self.how}")
        for folder in self.folders.values():
            self._compare(self.root / folder, classes)

    def _compare(self, folder: Path, classes: Sequence[str]) -> None:
        """Raise `UserError` for class folders that `train` lacks, and for those without an image."""
        found = folders_in(folder)
        if not found:
            raise UserError(f"data={self.name}: {folder} holds no class folders")
        strange = sorted(set(found) - set(classes))
        if strange:
            raise UserError(f"data={self.name}: {folder} has classes that train lacks: {first_of(strange)}")
        empty = [name for name in found if not len(images_below(str(folder / name)))]
        if empty:
            told = f"no image in {first_of(empty)} (images end in {' '.join(EXTENSIONS)})"
            raise UserError(f"data={self.name}: {folder}: {told}")

    def files(self, split: Split) -> ImageFiles:
        if split not in self.folders:
            return ImageFiles.none(self.root)
        return read_classes(self.root, self.folders[split], self.classes)
