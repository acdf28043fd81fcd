"""Miniatures of the fine-grained sets, in their authors' layouts: a red box on grey is the object of each image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.published import PublishedDataSet
from tests.data.pictures import SMALL

RED, GREY = (230, 20, 20), (120, 120, 120)
SIZES = ((120, 90), (80, 110), (100, 100), (141, 77))
CLASSES = ("crow", "duck", "emu")
BANNER = 20


@dataclass(frozen=True)
class Sample:
    """An image as it is to be found: box: left, top, right, bottom edge in pixels; size: width and height."""

    name: str
    label: int
    train: bool
    size: tuple[int, int]
    box: tuple[int, int, int, int]


def samples() -> list[Sample]:
    """Four training and two test images of each class."""
    generator = np.random.default_rng(5)
    found = []
    for number in range(18):
        width, height = SIZES[number % len(SIZES)]
        left, top = (int(generator.integers(0, side // 2)) for side in (width, height))
        right, bottom = (int(generator.integers(low + 15, side + 1)) for low, side in ((left, width), (top, height)))
        box = (left, top, right, bottom)
        found.append(Sample(f"image{number:02d}", number // 6, number % 6 < 4, (width, height), box))
    return found


SAMPLES = samples()


def draw(path: Path, sample: Sample, banner: int = 0) -> None:
    """Write an image, with a white banner below it."""
    width, height = sample.size
    pixels = np.full((height + banner, width, 3), 255, np.uint8)
    left, top, right, bottom = sample.box
    pixels[:height] = GREY
    pixels[top:bottom, left:right] = RED
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=98, subsampling=0)


def write_shuffled(path: Path, lines: Sequence[str], seed: int) -> None:
    """Write lines in an order of their own."""
    order = np.random.default_rng(seed).permutation(len(lines))
    path.write_text("".join(f"{lines[place]}\n" for place in order))


def write_cub(home: Path) -> dict[str, Sample]:
    """CUB's text files, each in an order of its own; ids are not 1, 2, 3."""
    ids = [3 * number + 7 for number in range(len(SAMPLES))]
    folders = [f"{10 * label + 1:03d}.{name}" for label, name in enumerate(CLASSES)]
    paths = [f"{folders[sample.label]}/{sample.name}.jpg" for sample in SAMPLES]
    for path, sample in zip(paths, SAMPLES, strict=True):
        draw(home / "images" / path, sample)
    boxes = [(s.box[0], s.box[1], s.box[2] - s.box[0], s.box[3] - s.box[1]) for s in SAMPLES]
    texts = {
        "images.txt": paths,
        "image_class_labels.txt": [str(10 * sample.label + 1) for sample in SAMPLES],
        "train_test_split.txt": [str(int(sample.train)) for sample in SAMPLES],
        "bounding_boxes.txt": [" ".join(f"{value:.1f}" for value in box) for box in boxes],
    }
    for seed, (file, rows) in enumerate(texts.items()):
        write_shuffled(home / file, [f"{key} {row}" for key, row in zip(ids, rows, strict=True)], seed)
    write_shuffled(home / "classes.txt", [f"{10 * label + 1} {name}" for label, name in enumerate(folders)], 9)
    return {f"images/{path}": sample for path, sample in zip(paths, SAMPLES, strict=True)}


def cell(values: Sequence[Any]) -> Any:
    """A MATLAB cell array (1, N)."""
    found = np.empty((1, len(values)), object)
    found[0] = values
    return found


def small(value: int) -> Any:
    """A number as MATLAB's authors stored it: the smallest type that holds it."""
    return np.array([[value]], np.min_scalar_type(value))


def annotations(rows: Sequence[Sample], labelled: bool = True) -> dict[str, Any]:
    """The variable of Cars' annotation files: boxes count pixels from 1 and include the last."""
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *(["class"] if labelled else []), "fname"]
    found = np.empty((1, len(rows)), [(name, object) for name in fields])
    for place, sample in enumerate(rows):
        left, top, right, bottom = sample.box
        label = [small(sample.label + 1)] if labelled else []
        found[0, place] = (*map(small, (left + 1, top + 1, right, bottom)), *label, f"{sample.name}.jpg")
    return {"annotations": found}


def write_cars(home: Path) -> dict[str, Sample]:
    """The devkit, the labels of the test images, and two folders of images."""
    (home / "devkit").mkdir(parents=True)
    savemat(home / "devkit" / "cars_meta.mat", {"class_names": cell(CLASSES)})
    found = {}
    for train, path in ((True, "devkit/cars_train_annos.mat"), (False, "cars_test_annos_withlabels.mat")):
        rows = [sample for sample in SAMPLES if sample.train is train]
        savemat(home / path, annotations(rows))
        for sample in rows:
            image = f"cars_{'train' if train else 'test'}/{sample.name}.jpg"
            draw(home / image, sample)
            found[image] = sample
    return found


OBJECT = """\t<object>
\t\t<name>{breed}</name>
\t\t<bndbox>
\t\t\t<xmin>{0}</xmin>
\t\t\t<ymin>{1}</ymin>
\t\t\t<xmax>{2}</xmax>
\t\t\t<ymax>{3}</ymax>
\t\t</bndbox>
\t</object>
"""


def write_dogs(home: Path) -> dict[str, Sample]:
    """Lists, images and annotations; some annotations have a smaller dog before or after the large one."""
    found, breeds = {}, [f"n0200{label}-{name}" for label, name in enumerate(CLASSES)]
    for number, sample in enumerate(SAMPLES):
        breed = breeds[sample.label]
        path = home / "Annotation" / breed / sample.name
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = [sample.box, *([(1, 1, 6, 6)] if number % 3 else [])]
        if number % 3 == 1:
            objects.reverse()
        shown = "".join(OBJECT.format(*box, breed=breed) for box in objects)
        path.write_text(f"<annotation>\n\t<folder>0200</folder>\n{shown}</annotation>")
        draw(home / "Images" / breed / f"{sample.name}.jpg", sample)
        found[f"Images/{breed}/{sample.name}.jpg"] = sample
    for train, file in ((True, "train_list.mat"), (False, "test_list.mat")):
        rows = [sample for sample in SAMPLES if sample.train is train]
        names = [f"{breeds[sample.label]}/{sample.name}" for sample in rows]
        numbers = np.array([[sample.label + 1] for sample in rows], np.uint8)
        listed = {"file_list": cell([f"{name}.jpg" for name in names]).T, "annotation_list": cell(names).T}
        savemat(home / file, {**listed, "labels": numbers})
    return found


def write_aircraft(home: Path) -> dict[str, Sample]:
    """Names of three levels and lists of two splits; images have a banner, boxes count pixels from 1."""
    variants = ("737-700", "737-800 Max/B", "A320")
    families, makers = ("Boeing 737", "Boeing 737", "A320"), ("Boeing", "Boeing", "Airbus")
    for sample in SAMPLES:
        draw(home / "images" / f"{sample.name}.jpg", sample, BANNER)
    levels = (
        ("variants", "variant", variants),
        ("families", "family", families),
        ("manufacturers", "manufacturer", makers),
    )
    for file, level, names in levels:
        (home / f"{file}.txt").write_text("".join(f"{name}\n" for name in dict.fromkeys(names)))
        for train, split in ((True, "trainval"), (False, "test")):
            rows = [f"{s.name} {names[s.label]}" for s in SAMPLES if s.train is train]
            write_shuffled(home / f"images_{level}_{split}.txt", rows, 1)
    edges = [(s.box[0] + 1, s.box[1] + 1, *s.box[2:]) for s in SAMPLES]
    rows = [f"{s.name} {' '.join(map(str, box))}" for s, box in zip(SAMPLES, edges, strict=True)]
    write_shuffled(home / "images_box.txt", rows, 2)
    return {f"images/{sample.name}.jpg": sample for sample in SAMPLES}


MINIATURES = {
    "cub200": ("CUB_200_2011", write_cub),
    "stanford_cars": ("stanford_cars", write_cars),
    "stanford_dogs": ("stanford_dogs", write_dogs),
    "fgvc_aircraft": ("fgvc-aircraft-2013b/data", write_aircraft),
}


def write_set(name: str, root: Path) -> tuple[Path, dict[str, Sample]]:
    """Write a miniature: its own folder, and what it holds by path."""
    folder, write = MINIATURES[name]
    (root / folder).mkdir(parents=True)
    return root / folder, write(root / folder)


def fine_set(name: str, root: Path, *overrides: str) -> PublishedDataSet:
    """The set at `root`, with small settings."""
    data = build_data(compose([f"data={name}", f"data.root={root}", *SMALL, *overrides]))
    assert isinstance(data, PublishedDataSet)
    return data
