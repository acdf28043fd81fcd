"""PASCAL VOC: Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010.

`VOCdevkit/VOC2007/` (and `VOC2012/`) hold `JPEGImages/<image>.jpg`, `Annotations/<image>.xml`, and lists of images in
`ImageSets/Main/`. Edges of boxes count pixels from 1, and the last pixel belongs to the box; here they are counted from
0, and end behind it. Objects marked `difficult` are not trained on, and left out of the metrics as in the development
kit. Papers train on the `trainval` lists of both years and test on `test` of 2007; the test objects of 2012 are not
published.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from attnbench.data.sources.folders import read_regular
from attnbench.data.sources.label_files import EDGES, LabelFileError, numbers, read_rows
from attnbench.data.splits import Split
from attnbench.detection.data.base import AnnotatedImages, DetectionFiles
from attnbench.detection.data.box_check import Annotation
from attnbench.errors import nearest

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


class VOC(DetectionFiles):
    """Objects of 20 classes.

    Args:
        train: lists of training images, each a year and a list: `2007/trainval`.
        test: lists of test images, likewise.
        options: see `DetectionFiles`.
    """

    name = "voc"
    classes = CLASSES
    terms = "research; photos remain their owners'"
    instructions = (
        "set data.root to VOCdevkit, which holds VOC2007 and VOC2012 as unpacked from the archives of "
        "host.robots.ox.ac.uk/pascal/VOC"
    )

    def __init__(self, train: Sequence[str], test: Sequence[str], **options: Any) -> None:
        self.lists: dict[Split, Sequence[str]] = {"train": train, "test": test}
        super().__init__(**options)

    def annotated(self, split: Split) -> AnnotatedImages:
        found = AnnotatedImages()
        for entry in self.lists.get(split, ()):
            year, _, name = entry.partition("/")
            folder = self.root / f"VOC{year}"
            for image in self._names_in(folder / "ImageSets" / "Main" / f"{name}.txt"):
                path = folder / "Annotations" / f"{image}.xml"
                annotations, (width, height) = read_annotation(path)
                found.add(path, f"VOC{year}/JPEGImages/{image}.jpg", annotations, width, height)
        return found

    def _names_in(self, path: Path) -> list[str]:
        if not path.is_file():
            raise self.layout_error(f"{path} is missing")
        return [row[0] for row in read_rows(path)]


def read_annotation(path: Path) -> tuple[list[Annotation], tuple[int, int]]:
    """Read the objects of an image, and its width and height in pixels. Raises `LabelFileError`."""
    try:
        tree = ElementTree.fromstring(read_regular(path))
    except (OSError, ElementTree.ParseError) as error:
        raise LabelFileError(path, f"cannot be read as an annotation: {error}") from error
    size = [("size", [tree.findtext(f"size/{side}", "") for side in ("width", "height")])]
    ((width, height),) = numbers(path, size, int, 2).tolist()
    return list(_objects(path, tree)), (int(width), int(height))


def _objects(path: Path, tree: ElementTree.Element) -> Iterator[Annotation]:
    for number, node in enumerate(tree.findall("object"), start=1):
        name = node.findtext("name", "").strip()
        where = f"object {number} ({name})"
        if name not in CLASSES:
            raise LabelFileError(path, f"{where}: is none of VOC's 20 classes{nearest(name, CLASSES)}")
        edges = [(where, [node.findtext(f"bndbox/{edge}", "") for edge in EDGES])]
        ((left, top, right, bottom),) = numbers(path, edges).tolist()
        box = (left - 1, top - 1, right, bottom)
        difficult = node.findtext("difficult", "0").strip() == "1"
        yield Annotation(where, box, CLASSES.index(name), difficult=difficult)
