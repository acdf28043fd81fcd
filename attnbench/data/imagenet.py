"""ImageNet-1K (ILSVRC 2012): Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015.

In the layout of torchvision's `ImageNet`: `root/train/<wnid>/` and `root/val/<wnid>/`. As in the papers, `val` is what
is tested on. The fingerprint holds the names of all files, and the sizes of the first one of each class: so it tells a
copy of another resolution from the original, without asking for 1.3 million sizes.
"""

import re

from attnbench.data.base import Split
from attnbench.data.files import folders_in
from attnbench.data.image_folder import ImageFolder
from attnbench.errors import UserError

CLASSES = 1000
WNID = re.compile(r"n\d{8}")


class ImageNet(ImageFolder):
    """1,281,167 training and 50,000 test images. Class names are WordNet's ids. Options as in `StreamedDataSet`."""

    name = "imagenet"
    every_size = False
    counts = (1_281_167, 50_000)
    terms = "research and education only, as agreed at image-net.org"
    how = (
        "set data.root to the folder that holds train/<wnid>/ and val/<wnid>/, as torchvision's ImageNet unpacks the "
        "archives of ILSVRC 2012, which are given on request at image-net.org"
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
            if found != CLASSES:
                told = f"{folder} holds {found} folders of classes, not {CLASSES}"
                raise UserError(f"data={self.name}: {told}; a part of it is data=image_folder")
        super().look()
