"""ImageNet-1K (ILSVRC 2012): Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015.

Training images are in `root/train/<wnid>/`. Test images are in `root/val/<wnid>/`, as sorted by torchvision's
`ImageNet`, or in `root/val`, as unpacked from ILSVRC2012_img_val.tar (`ILSVRC2012_val_00000001.JPEG` …). In the second
case their classes come from the authors' `ILSVRC2012_devkit_t12/` or Kaggle's `LOC_val_solution.csv`, in `root` or one
of the three folders above it, as in Kaggle's `ILSVRC/Data/CLS-LOC`. The devkit numbers classes in its own order; we use
the order of WordNet ids everywhere, like trained weights.

As in the papers, `val` is the test split. The fingerprint holds the names of all files and the size of the first one of
each class: this distinguishes copies of other resolutions without reading 1.3 million sizes.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from attnbench.data.bases.split_folders import SplitFolders
from attnbench.data.sources.folders import folders_in, listing
from attnbench.data.sources.image_files import ImageFiles, first_few
from attnbench.data.sources.label_files import (
    LabelFileError,
    cached_until_changed,
    field,
    integers,
    labels_from_names,
    read_lines,
    read_mat,
    require_same,
)
from attnbench.data.sources.left_out import LeftOut
from attnbench.data.splits import Split
from attnbench.errors import UserError

CLASSES = 1000
WNID = re.compile(r"n\d{8}")
SYNSETS = Path("ILSVRC2012_devkit_t12/data/meta.mat")
TRUTH = SYNSETS.with_name("ILSVRC2012_validation_ground_truth.txt")
SOLUTION = Path("LOC_val_solution.csv")


class ImageNet(SplitFolders):
    """1,281,167 training and 50,000 test images. Class names are WordNet's ids. Options as in `FileDataSet`."""

    name = "imagenet"
    hash_all_sizes = False
    counts = (1_281_167, 50_000)
    terms = "research and education only, as agreed at image-net.org"
    instructions = (
        "set data.root to the folder that holds train/<wnid>/ and val/<wnid>/, as torchvision's ImageNet unpacks the "
        "archives of ILSVRC 2012, which are given on request at image-net.org; or val/ without folders, and beside it "
        f"{SYNSETS.parts[0]} or Kaggle's {SOLUTION}"
    )

    @property
    def num_classes(self) -> int:
        return CLASSES

    @property
    def folders(self) -> dict[Split, str]:
        return {"train": "train", "test": "val"}

    def check_layout(self) -> None:
        for name in self.folders.values():
            folder = self.root / name
            if not folder.is_dir():
                raise UserError(f"data={self.name}: no {name} folder in {self.root}; {self.instructions}")
            found = folders_in(folder)
            others = [entry for entry in found if not WNID.fullmatch(entry)]
            classes = len(found) - len(others)
            if classes != CLASSES and not self._is_flat(folder):
                problem = f"{folder} holds {classes} class folders, not {CLASSES}"
                raise UserError(f"data={self.name}: {problem}; use data=image_folder for a part of ImageNet")
            if others:
                raise self.layout_error(f"{folder} has folders that are no WordNet ids; remove {first_few(others)}")
        super().check_layout()

    def _require_classes(self, folder: Path, classes: Sequence[str]) -> None:
        if self._is_flat(folder):
            self._flat_test_images(classes)
        else:
            super()._require_classes(folder, classes)

    def left_out(self) -> LeftOut:
        """Count what is not used in the class folders; the layout around them is the authors'."""
        left_out = LeftOut()
        for folder in self.folders.values():
            if not self._is_flat(self.root / folder):
                self.leave_out_classes(left_out, folder, folders_in(self.root / folder))
        return left_out

    def files(self, split: Split) -> ImageFiles:
        classes = self.classes  # checks the layout
        flat = split == "test" and self._is_flat(self.root / "val")
        return self._flat_test_images(classes) if flat else super().files(split)

    def _is_flat(self, folder: Path) -> bool:
        """Return whether a folder holds the test images themselves, without class folders."""
        found = listing(str(folder))
        return folder.name == "val" and len(found.files) > 0 and not len(found.folders)

    def _flat_test_images(self, classes: Sequence[str]) -> ImageFiles:
        """List the test images of a `val` without class folders. Raises `UserError`."""
        folder, files = self.root / "val", self._truth_files()
        try:
            wnids = cached_until_changed((type(self), folder, *files), files, lambda: read_truth(*files))
            names = [name.decode() for name in listing(str(folder)).files.tolist()]
            require_same(folder, names, files[-1], wnids)
            labels = labels_from_names(files[-1], [wnids[name] for name in names], self.root / "train", classes)
        except LabelFileError as error:
            raise UserError(f"data={self.name}: {error}") from error
        return ImageFiles.from_lists(self.root, [f"val/{name}" for name in names], labels)

    def _truth_files(self) -> list[Path]:
        """Return the files that hold the classes of test images without class folders."""
        folders = (self.root, *self.root.parents[:3])
        for names in ((SYNSETS, TRUTH), (SOLUTION,)):
            for folder in folders:
                if all((folder / name).is_file() for name in names):
                    return [folder / name for name in names]
        problem = f"{self.root / 'val'} has no class folders, and neither {TRUTH} nor {SOLUTION} was found"
        raise UserError(f"data={self.name}: {problem}; {self.instructions}")


def read_truth(first: Path, second: Path | None = None) -> dict[str, str]:
    """Return the WordNet id of each test image, by the image's name.

    Args:
        first: Kaggle's file, or the devkit's synsets.
        second: the devkit's ground truth.

    Raises:
        LabelFileError: the files are damaged or inconsistent.
    """
    if second is not None:
        wnids, numbers = read_synsets(first), read_lines(second)
        unknown = [number for number in numbers if number not in wnids]
        if unknown:
            raise LabelFileError(second, f"has classes that {first.name} lacks: {first_few(unknown)}")
        return {f"ILSVRC2012_val_{image:08d}.JPEG": wnids[number] for image, number in enumerate(numbers, 1)}
    rows = [line.replace(",", " ").split()[:2] for line in read_lines(first)[1:]]
    malformed = [" ".join(row) for row in rows if len(row) < 2 or not WNID.fullmatch(row[1])]
    if malformed:
        raise LabelFileError(first, f"has lines that are not of the form <image>,<wnid> …: {first_few(malformed)}")
    return {f"{image}.JPEG": wnid for image, wnid in rows}


def read_synsets(path: Path) -> dict[str, str]:
    """Return the WordNet id of each class number of the challenge; further rows describe groups of classes."""
    rows = read_mat(path, "synsets")
    leaves = integers(path, field(path, rows, "num_children")) == 0
    numbers = integers(path, field(path, rows, "ILSVRC2012_ID"))[leaves]
    wnids = [str(wnid) for wnid in field(path, rows, "WNID")[leaves]]
    return dict(zip(map(str, numbers.tolist()), wnids, strict=True))
