"""Oxford-IIIT Pet: Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and Dogs", CVPR 2012.

`oxford-iiit-pet/` holds `images/<breed>_<number>.jpg` and, in `annotations/`, `trainval.txt`, `test.txt` (a line each:
image, class, species, breed) and `xmls/`, with the head's box for nearly all images of `trainval.txt` and for none of
`test.txt`. Boxes are read as Pascal VOC's, whose format they have: pixels count from 1, and the last ones are included.
"""

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from attnbench.data.base import Split
from attnbench.data.files import ImageFiles
from attnbench.data.released import UNKNOWN_BOX, ReleasedDataSet

LISTS: dict[Split, str] = {"train": "annotations/trainval.txt", "test": "annotations/test.txt"}
EDGES = ("xmin", "ymin", "xmax", "ymax")


class Row(NamedTuple):
    """An image of a list: its name without ending, its breed, and the class that the list says it is of."""

    image: str
    breed: str
    number: int


class Pets(ReleasedDataSet):
    """3,680 training and 3,669 test images of 37 breeds of cats and dogs. Options as in `StreamedDataSet`."""

    name = "pets"
    folder = "oxford-iiit-pet"
    needed = ("annotations/trainval.txt", "annotations/test.txt", "images")
    all_classes = 37
    counts = (3_680, 3_669)
    terms = "CC BY-SA 4.0; photos remain their owners'"
    source = "images.tar.gz and annotations.tar.gz from robots.ox.ac.uk/~vgg/data/pets"

    def read_class_names(self) -> Sequence[str]:
        """Breeds in the order of their numbers. Raises `UserError` if a number stands for two, or a breed has two."""
        breeds: dict[int, str] = {}
        for file in LISTS.values():
            for row in self._rows(file):
                if breeds.setdefault(row.number, row.breed) != row.breed:
                    told = f"gives class {row.number} to {row.image}, but {breeds[row.number]} has it"
                    raise self.disagreement(file, told)
        return [breeds[number] for number in sorted(breeds)]

    def files(self, split: Split) -> ImageFiles:
        if split == "validation":
            return ImageFiles.none(self.home)
        lists = {file: [f"images/{row.image}.jpg" for row in self._rows(file)] for file in LISTS.values()}
        self.require_apart(lists)
        file = LISTS[split]
        rows = self._rows(file)
        labels = self.labels_of(file, [row.breed for row in rows], self.classes)
        boxes = [self._box(f"annotations/xmls/{row.image}.xml") for row in rows]
        self.require_there(file, lists[file])
        return ImageFiles.named(self.home, lists[file], labels, None if set(boxes) == {UNKNOWN_BOX} else boxes)

    def _rows(self, file: str) -> list[Row]:
        words = self.rows(file, 2)
        return [Row(image, image.rpartition("_")[0], self.numbers(file, [number])[0]) for image, number, *_ in words]

    def _box(self, file: str) -> tuple[float, ...]:
        """The box of an image's first head; not numbers if there is no such file."""
        path = self.home / file
        if not path.is_file():
            return UNKNOWN_BOX
        try:
            box = ElementTree.parse(path).find("object/bndbox")
        except ElementTree.ParseError as error:
            raise self.disagreement(file, f"cannot be read: {error}") from error
        if box is None:
            return UNKNOWN_BOX
        left, top, right, bottom = self.numbers(file, [box.findtext(edge, "") for edge in EDGES])
        return left - 1, top - 1, right, bottom
