"""ImageNet-1K (ILSVRC 2012): Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015.

Training images lie in `root/train/<wnid>/`. Test images lie in `root/val/<wnid>/`, as torchvision's `ImageNet` sorts
them, or in `root/val` as the archive ILSVRC2012_img_val.tar unpacks them (`ILSVRC2012_val_00000001.JPEG` …). Their
classes are then told by the authors' `ILSVRC2012_devkit_t12/` or by Kaggle's `LOC_val_solution.csv`, in `root` or in
one of the three folders above, as in Kaggle's `ILSVRC/Data/CLS-LOC`. The devkit numbers classes in an order of its own;
ours is everywhere that of their WordNet ids, which trained weights follow.

As in the papers, `val` is what is tested on. The fingerprint holds the names of all files, and the sizes of the first
one of each class: so it tells a copy of another resolution from the original, without asking for 1.3 million sizes.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from attnbench.data.sets.image_folder import ImageFolder
from attnbench.data.sources.image_files import ImageFiles, first_of, folders_in, listing
from attnbench.data.sources.label_files import (
    LabelFileError,
    field,
    integers,
    labels_of,
    read_lines,
    read_mat,
    remembered,
    require_same,
)
from attnbench.data.splits import Split
from attnbench.errors import UserError

CLASSES = 1000
WNID = re.compile(r"n\d{8}")
SYNSETS = Path("ILSVRC2012_devkit_t12/data/meta.mat")
TRUTH = SYNSETS.with_name("ILSVRC2012_validation_ground_truth.txt")
SOLUTION = Path("LOC_val_solution.csv")


class ImageNet(ImageFolder):
    """1,281,167 training and 50,000 test images. Class names are WordNet's ids. Options as in `FileDataSet`."""

    name = "imagenet"
    every_size = False
    counts = (1_281_167, 50_000)
    terms = "research and education only, as agreed at image-net.org"
    how = (
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

    def look(self) -> None:
        for name in self.folders.values():
            folder = self.root / name
            if not folder.is_dir():
                raise UserError(f"data={self.name}: no {name} folder in {self.root}; {self.how}")
            found = sum(WNID.fullmatch(entry) is not None for entry in folders_in(folder))
            if found != CLASSES and not self._is_flat(folder):
                told = f"{folder} holds {found} folders of classes, not {CLASSES}"
                raise UserError(f"data={self.name}: {told}; a part of it is data=image_folder")
        super().look()

    def _compare(self, folder: Path, classes: Sequence[str]) -> None:
        if self._is_flat(folder):
            self._unsorted(classes)
        else:
            super()._compare(folder, classes)

    def files(self, split: Split) -> ImageFiles:
        classes = self.classes  # which looks whether all is there
        flat = split == "test" and self._is_flat(self.root / "val")
        return self._unsorted(classes) if flat else super().files(split)

    def _is_flat(self, folder: Path) -> bool:
        """Whether a folder holds the test images themselves."""
        files, folders = listing(str(folder))
        return folder.name == "val" and len(files) > 0 and not len(folders)

    def _unsorted(self, classes: Sequence[str]) -> ImageFiles:
        """The test images as they lie in `val` without folders. Raises `UserError`."""
        folder, files = self.root / "val", self._truth_files()
        try:
            wnids = remembered((type(self), folder, *files), files, lambda: read_truth(*files))
            names = [name.decode() for name in listing(str(folder))[0].tolist()]
            require_same(folder, names, files[-1], wnids)
            labels = labels_of(files[-1], [wnids[name] for name in names], self.root / "train", classes)
        except LabelFileError as error:
            raise UserError(f"data={self.name}: {error}") from error
        return ImageFiles.named(self.root, [f"val/{name}" for name in names], labels)

    def _truth_files(self) -> list[Path]:
        """The files that tell the classes of unsorted test images."""
        places = (self.root, *self.root.parents[:3])
        for names in ((SYNSETS, TRUTH), (SOLUTION,)):
            for place in places:
                if all((place / name).is_file() for name in names):
                    return [place / name for name in names]
        told = (
            f"images in {self.root / 'val'} are in no folders of classes, and neither {TRUTH} nor {SOLUTION} is there"
        )
        raise UserError(f"data={self.name}: {told}; {self.how}")


def read_truth(first: Path, second: Path | None = None) -> dict[str, str]:
    """WordNet's id of each test image, by the image's name: from Kaggle's file, or from the devkit's synsets and ground
    truth. Raises `LabelFileError`.
    """
    if second is not None:
        wnids, numbers = read_synsets(first), read_lines(second)
        strange = [number for number in numbers if number not in wnids]
        if strange:
            raise LabelFileError(second, f"has classes that {first.name} lacks: {first_of(strange)}")
        return {f"ILSVRC2012_val_{place:08d}.JPEG": wnids[number] for place, number in enumerate(numbers, 1)}
    rows = [line.replace(",", " ").split()[:2] for line in read_lines(first)[1:]]
    odd = [" ".join(row) for row in rows if len(row) < 2 or not WNID.fullmatch(row[1])]
    if odd:
        raise LabelFileError(first, f"has lines that are not of the form <image>,<wnid> …: {first_of(odd)}")
    return {f"{image}.JPEG": wnid for image, wnid in rows}


def read_synsets(path: Path) -> dict[str, str]:
    """WordNet's id of each of the challenge's numbers, as they are written. Further rows are of groups of classes."""
    rows = read_mat(path, "synsets")
    leaves = integers(path, field(path, rows, "num_children")) == 0
    numbers = integers(path, field(path, rows, "ILSVRC2012_ID"))[leaves]
    wnids = [str(wnid) for wnid in field(path, rows, "WNID")[leaves]]
    return dict(zip(map(str, numbers.tolist()), wnids, strict=True))
