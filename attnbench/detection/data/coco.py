"""Images with objects in COCO's format: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.

A JSON file lists `images` (`id`, `file_name`, `width`, `height`), `annotations` (`image_id`, `category_id`, `bbox` as
left edge, top edge, width and height in pixels, `iscrowd`) and `categories` (`id`, `name`). Crowds are not trained on;
metrics treat them as COCO's own do.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from attnbench.data.sources.folders import read_regular
from attnbench.data.sources.label_files import LabelFileError, cached_until_changed
from attnbench.data.splits import Split
from attnbench.detection.data.base import AnnotatedImages, DetectionFiles
from attnbench.detection.data.box_check import Annotation
from attnbench.errors import UserError

WHOLE, NUMBER, TEXT, FOUR = "a whole number", "a number", "text", "four numbers"
NEEDED = {
    "images": {"id": WHOLE, "file_name": TEXT, "width": NUMBER, "height": NUMBER},
    "annotations": {"image_id": WHOLE, "category_id": WHOLE, "bbox": FOUR},
    "categories": {"id": WHOLE, "name": TEXT},
}
"""The keys of each entry of a file's lists, and what their values must be."""
TYPES: dict[str, tuple[type, ...]] = {WHOLE: (int,), NUMBER: (int, float), TEXT: (str,), FOUR: (list,)}


class COCOFormat(DetectionFiles):
    """A set in COCO's format.

    Args:
        train: the JSON file of the training images, relative to `root`.
        test: of the test images; none if null.
        own_validation: of validation images that the set has itself; none if null.
        train_folder: the folder, relative to `root`, that names of training images are relative to.
        test_folder: likewise of test images.
        validation_folder: likewise of `own_validation`.
        options: see `DetectionFiles`.
    """

    name = "coco_json"
    terms = "your own"
    instructions = (
        "set data.root to a folder that holds the JSON files and folders of images that data.train, data.test, "
        "data.train_folder and data.test_folder name"
    )

    def __init__(
        self,
        train: str,
        test: str | None,
        train_folder: str,
        test_folder: str,
        own_validation: str | None = None,
        validation_folder: str = ".",
        **options: Any,
    ) -> None:
        self.sources: dict[Split, tuple[str | None, str]] = {
            "train": (train, train_folder),
            "validation": (own_validation, validation_folder),
            "test": (test, test_folder),
        }
        super().__init__(**options)

    def content(self, split: Split) -> Mapping[str, Any] | None:
        """Return the content of a split's file, or None if the split has none. Raises `UserError`."""
        name, _ = self.sources[split]
        if name is None:
            return None
        path = self.root / name
        if not path.is_file():
            raise self.layout_error(f"{path} is missing")
        try:
            return cached_until_changed(path, [path], lambda: read_content(path))
        except LabelFileError as error:
            raise UserError(f"data={self.name}: {error}") from error

    @cached_property
    def categories(self) -> dict[int, str]:
        """Names of the categories by number, of the training file, in the order of the numbers. Raises `UserError`."""
        return dict(sorted(categories_of(self.content("train") or {}).items()))

    def _labels(self, content: Mapping[str, Any]) -> dict[int, int]:
        """Return the labels of a file's own categories, whose numbers may differ from the training file's."""
        labels = {name: label for label, name in enumerate(self.categories.values())}
        return {number: labels[name] for number, name in categories_of(content).items() if name in labels}

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # known once files are read
        """Names of the classes. Raises `UserError` if files are missing or wrong."""
        return tuple(self.categories.values())

    @property
    def category_ids(self) -> list[int]:
        return list(self.categories)

    def annotated(self, split: Split) -> AnnotatedImages:
        found, content = AnnotatedImages(), self.content(split)
        if content is None:
            return found
        name, folder = self.sources[split]
        path = self.root / str(name)
        images, labels = {image["id"]: image for image in content["images"]}, self._labels(content)
        by_image: dict[int, list[Annotation]] = {number: [] for number in images}
        for place, node in enumerate(content["annotations"]):
            where = f"annotation {node.get('id', f'number {place + 1}')}"
            if node["image_id"] not in images:
                raise LabelFileError(path, f"{where}: there is no image {node['image_id']}")
            by_image[node["image_id"]].append(self._annotation(path, where, node, labels))
        for number, image in sorted(images.items()):
            relative = (Path(folder) / image["file_name"]).as_posix()
            found.add(path, relative, by_image[number], image["width"], image["height"])
            found.ids.append(number)
        return found

    def _annotation(self, path: Path, where: str, node: Mapping[str, Any], labels: Mapping[int, int]) -> Annotation:
        try:
            left, top, width, height = map(float, node["bbox"])
        except (TypeError, ValueError):
            raise LabelFileError(path, f"{where}: bbox must be four numbers, and is {node['bbox']}") from None
        label = labels.get(node["category_id"])
        if label is None:
            raise LabelFileError(path, f"{where}: there is no category {node['category_id']} in the training file")
        return Annotation(where, (left, top, left + width, top + height), label, crowd=bool(node.get("iscrowd", 0)))


class COCO2017(COCOFormat):
    """COCO in its authors' layout of 2017: 118,287 training images, and 5,000 that papers test on."""

    name = "coco"
    terms = "annotations CC BY 4.0; photos under Flickr's terms"
    instructions = (
        "set data.root to a folder that holds annotations, train2017 and val2017, as unpacked from the archives of "
        "cocodataset.org"
    )
    counts = (118_287, 5_000)
    all_classes = 80

    @property
    def num_classes(self) -> int:
        """Number of classes, also if the set is missing: costs can be counted without data."""
        return len(self.classes) if (self.root / str(self.sources["train"][0])).is_file() else self.all_classes


def read_content(path: Path) -> dict[str, Any]:
    """Read a JSON file in COCO's format. Raises `LabelFileError` if its lists are not as they must be."""
    try:
        content = json.loads(read_regular(path))
    except (OSError, ValueError) as error:
        raise LabelFileError(path, f"cannot be read as JSON: {error}") from error
    for key, needed in NEEDED.items():
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list):
            raise LabelFileError(path, f"{key} is missing, or is no list")
        for place, entry in enumerate(entries, start=1):
            if not isinstance(entry, dict) or not needed.keys() <= entry.keys():
                raise LabelFileError(path, f"entry {place} of {key} must have {', '.join(sorted(needed))}")
            for name, kind in needed.items():
                if type(entry[name]) not in TYPES[kind]:
                    raise LabelFileError(path, f"entry {place} of {key}: {name} must be {kind}")
    for key, name in (("images", "id"), ("categories", "id"), ("categories", "name")):
        if len({entry[name] for entry in content[key]}) < len(content[key]):
            raise LabelFileError(path, f"several {key} have the same {name}")
    return dict(content)


def categories_of(content: Mapping[str, Any]) -> dict[int, str]:
    """Return the names of a file's categories by number."""
    return {each["id"]: each["name"] for each in content["categories"]}
