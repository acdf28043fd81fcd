"""A user's own images: `root/train/<class>/<image>`, and the same below `val` (or `validation`) and `test`.

If there is a `test` folder, `val` is the validation split. Otherwise `val` is the test split, and `data.validation`
images of `train` can be held out. Without both, nothing is tested.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.sources.image_files import EXTENSIONS, ImageFiles, first_few, folders_in, images_below, read_classes
from attnbench.data.sources.split_names import WORDS, roles
from attnbench.data.splits import Split
from attnbench.errors import UserError


class ImageFolder(FileDataSet):
    """Classes are the folders below `train`, in alphabetical order. Options as in `FileDataSet`."""

    name = "image_folder"
    terms = "your own"
    instructions: ClassVar[str] = (
        "set data.root to a folder that holds train/<class>/<image>, and the same for val or test"
    )

    @property
    def folders(self) -> dict[Split, str]:
        """The folder of each split on disk."""
        return roles([word for word in WORDS if (self.root / word).is_dir()], self.name, self.root)

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once the folder is read
        """Names of the classes. Raises `UserError` if the folder is missing or incomplete."""
        self.check_layout()
        return tuple(folders_in(self.root / "train"))

    def check_layout(self) -> None:
        if not (self.root / "train").is_dir():
            raise UserError(f"data={self.name}: no train folder in {self.root}; {self.instructions}")
        classes = folders_in(self.root / "train")
        if len(classes) < 2:
            raise UserError(
                f"data={self.name}: {self.root / 'train'} holds {len(classes)} class folders; {self.instructions}"
            )
        for folder in self.folders.values():
            self._require_classes(self.root / folder, classes)

    def _require_classes(self, folder: Path, classes: Sequence[str]) -> None:
        """Raise `UserError` for class folders that `train` lacks or that hold no image."""
        present = folders_in(folder)
        if not present:
            raise UserError(f"data={self.name}: {folder} holds no class folders")
        unknown = sorted(set(present) - set(classes))
        if unknown:
            raise UserError(f"data={self.name}: {folder} has classes that train lacks: {first_few(unknown)}")
        empty = [name for name in present if not len(images_below(str(folder / name)))]
        if empty:
            problem = f"no image in {first_few(empty)} (images end in {' '.join(EXTENSIONS)})"
            raise UserError(f"data={self.name}: {folder}: {problem}")

    def files(self, split: Split) -> ImageFiles:
        if split not in self.folders:
            return ImageFiles.empty(self.root)
        return read_classes(self.root, self.folders[split], self.classes)
