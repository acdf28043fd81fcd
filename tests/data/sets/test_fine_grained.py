"""Fine-grained sets: labels joined by id, boxes on the objects, and the inputs of the papers."""

import math
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.published import PublishedDataSet
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.splits import Split
from attnbench.errors import UserError
from attnbench.training.recipe import Recipe
from tests.data.fine_sets import BANNER, CLASSES, SAMPLES, fine_set, write_set
from tests.data.pictures import CPU, make_loader

NAMES = ("cub200", "stanford_cars", "stanford_dogs", "fgvc_aircraft")


SPLITS: tuple[Split, ...] = ("train", "test")


@pytest.mark.parametrize("name", NAMES)
def test_files_labels_and_boxes(name: str, own_folder: Path) -> None:
    _, expected = write_set(name, own_folder)
    data = fine_set(name, own_folder)
    data.check_available()
    assert data.splits == SPLITS
    assert data.num_classes == len(data.classes) == 3
    for split in SPLITS:
        files = data.files(split)
        assert files.boxes is not None
        assert files.boxes.dtype == np.float32
        paths = [str(Path(files.path(place)).relative_to(data.home)) for place in range(len(files))]
        assert set(paths) == {path for path, sample in expected.items() if sample.train is (split == "train")}
        for path, label, box in zip(paths, files.labels, files.boxes, strict=True):
            assert (label, tuple(box)) == (expected[path].label, expected[path].box)


@pytest.mark.parametrize("name", NAMES)
def test_files_that_systems_add_to_folders_are_ignored(name: str, own_folder: Path) -> None:
    home, _ = write_set(name, own_folder)
    expected = [fine_set(name, own_folder).files(split).paths.tolist() for split in SPLITS]
    for folder in [home, *(path for path in home.rglob("*") if path.is_dir())]:
        for added in ("Thumbs.db", "desktop.ini", ".DS_Store", "._image00.jpg", "._image00", "._image00.xml"):
            (folder / added).write_bytes(b"\0\5\x16\7")
    data = fine_set(name, own_folder)
    data.check_available()
    assert [data.files(split).paths.tolist() for split in SPLITS] == expected
    assert len(data.load("test")) == 6


def test_class_names(own_folder: Path) -> None:
    found = {}
    for name in NAMES:
        write_set(name, own_folder)
        found[name] = fine_set(name, own_folder).classes
    assert found == {
        "cub200": ("001.crow", "011.duck", "021.emu"),
        "stanford_cars": CLASSES,
        "stanford_dogs": ("n02000-crow", "n02001-duck", "n02002-emu"),
        "fgvc_aircraft": ("737-700", "737-800 Max/B", "A320"),
    }


def red_box(image: NDArray[np.floating[Any]]) -> tuple[int, ...] | None:
    """Left, top, right and bottom of what is red in an image (H, W, 3) of 0 to 255."""
    rows, columns = np.nonzero(image[:, :, 0] - image[:, :, 1] > 105)  # half of the way from grey to red
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


def require_boxes_on_red(images: NDArray[Any], boxes: NDArray[Any], tolerance: float = 1) -> int:
    """Check that boxes surround the red of their images within `tolerance` pixels; return how many have any."""
    seen = 0
    for image, box in zip(images, boxes, strict=True):
        assert (box >= 0).all()
        assert (box <= len(image)).all()
        found = red_box(image.astype(np.float32))
        if found is not None:
            seen += 1
            assert np.abs(np.subtract(found, box)).max() <= tolerance, (found, box)
        else:
            assert min(box[2] - box[0], box[3] - box[1]) <= tolerance
    return seen


@pytest.mark.parametrize("stretch", ["false", "true"])
@pytest.mark.parametrize("name", NAMES)
def test_boxes_surround_the_objects(name: str, stretch: str, own_folder: Path) -> None:
    write_set(name, own_folder)
    options = ("data.image_size=48", "data.resize=64", f"data.stretch={stretch}", "data.flip=true")
    data = fine_set(name, own_folder, *options)
    loaded = data.load("test")
    assert loaded.boxes is not None
    assert require_boxes_on_red(loaded.images, loaded.boxes) == 6
    for crop, tolerance in (("random", 1), ("random_resized", 3)):  # small windows are enlarged, and blurred by that
        sets = fine_set(name, own_folder, *options, f"data.train_crop={crop}", "data.batch_size=12")
        sample = make_loader(sets, "train", seed=1).epoch(0).sample(0)
        assert sample.boxes is not None
        mean, std = torch.tensor(sets.mean), torch.tensor(sets.std)
        pixels = (sample.images.permute(0, 2, 3, 1) * std + mean) * 255
        assert require_boxes_on_red(pixels.numpy(), sample.boxes.numpy(), tolerance) >= 8


def test_a_box_beyond_the_image_is_cut_by_the_view(own_folder: Path) -> None:
    home, _ = write_set("cub200", own_folder)
    path = home / "bounding_boxes.txt"
    keys = [line.split()[0] for line in path.read_text().splitlines()]
    path.write_text("".join(f"{key} 10 20 900.5 900\n" for key in keys))
    data = fine_set("cub200", own_folder)
    assert data.files("test").boxes.tolist() == [[10, 20, 910.5, 920]] * 6  # type: ignore[union-attr]
    assert data.load("test").boxes[:, 2:].tolist() == [[32, 32]] * 6  # type: ignore[index]


def test_the_banner_of_aircraft_is_cut_off(own_folder: Path) -> None:
    write_set("fgvc_aircraft", own_folder)
    tall = ("data.resize=64", "data.image_size=64", "data.stretch=true")
    cropped = fine_set("fgvc_aircraft", own_folder, *tall)
    kept = fine_set("fgvc_aircraft", own_folder, *tall, "data.crop_banner=false")
    bottom = [data.load("test").images[:, -3:].mean(axis=(1, 2)) for data in (cropped, kept)]
    assert (bottom[0][:, 2] < 140).all()
    assert (bottom[1] > 240).all()
    boxes = [data.load("test").boxes for data in (cropped, kept)]
    heights = np.array([sample.size[1] for sample in SAMPLES if not sample.train])[:, None]
    order = [cropped.files("test").path(place)[-6:-4] for place in range(6)]
    place = [[sample.name[-2:] for sample in SAMPLES if not sample.train].index(number) for number in order]
    factor = heights[place] / (heights[place] + BANNER)
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert np.allclose(boxes[1][:, [1, 3]], boxes[0][:, [1, 3]] * factor, atol=1e-3)


def test_an_image_that_is_all_banner_is_bad(own_folder: Path) -> None:
    from PIL import Image

    home, _ = write_set("fgvc_aircraft", own_folder)
    Image.new("RGB", (40, BANNER)).save(home / "images" / f"{SAMPLES[4].name}.jpg")
    with pytest.raises(UserError, match="it has 20 rows, of which 20 are to be cut off"):
        fine_set("fgvc_aircraft", own_folder).load("test")


def test_levels_of_aircraft(own_folder: Path) -> None:
    write_set("fgvc_aircraft", own_folder)
    found = {
        level: fine_set("fgvc_aircraft", own_folder, f"data.level={level}") for level in ("family", "manufacturer")
    }
    assert found["family"].classes == ("Boeing 737", "A320")
    assert found["manufacturer"].classes == ("Boeing", "Airbus")
    assert np.bincount(found["family"].files("train").labels).tolist() == [8, 4]
    assert [data.all_classes for data in found.values()] == [70, 30]
    with pytest.raises(UserError, match=r"data\.level=model: must be variant, family or manufacturer"):
        fine_set("fgvc_aircraft", own_folder, "data.level=model")


INPUTS = {
    "one_cycle": (64, 256, False, 224, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "gated_fine_grained": (64, 256, False, 224, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "ggam_fine_grained": (32, 600, True, 448, [0.5] * 3, [0.5] * 3),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("recipe", "expected"), INPUTS.items())
def test_the_papers_inputs(name: str, recipe: str, expected: tuple[Any, ...]) -> None:
    data = compose([f"data={name}", f"recipe={recipe}"])["data"]
    keys = ("batch_size", "resize", "stretch", "image_size", "mean", "std")
    assert tuple(data[key] for key in keys) == expected
    assert (data["train_crop"], data["flip"]) == ("random", True)


@pytest.mark.parametrize("epoch", [0, 29, 30, 75, 99])
def test_the_papers_rates(epoch: int) -> None:
    found = {}
    for paper in ("gated", "ggam"):
        recipe = Recipe(**compose(["data=cub200", f"recipe={paper}_fine_grained"])["recipe"])
        assert recipe.backbone_lr_factor == 0.1
        assert recipe.weight_decay == 1e-4
        rates = {recipe.lr * recipe.rate(epoch * 7 + step, 7) for step in range(7)}  # one rate an epoch
        assert len(rates) == 1
        found[paper] = rates.pop()
    halvings = sum(epoch >= mark for mark in (30, 60, 90))
    cosine = 0.05 * (1 + math.cos(math.pi * epoch / 300))  # the released script's, from 0.1
    assert found == pytest.approx({"gated": 0.01 * 0.5**halvings, "ggam": cosine})


@pytest.mark.slow
def test_the_real_birds(real_data: str) -> None:
    data = build_data(compose(["data=cub200", f"data.root={real_data}", "data.image_size=96", "data.resize=112"]))
    assert isinstance(data, PublishedDataSet)
    data.check_available()
    assert data.num_classes in (50, 200)  # all, or the first ones
    sizes = {split: len(data.files(split)) for split in SPLITS}
    assert sizes == ({"train": 1500, "test": 1389} if data.num_classes == 50 else {"train": 5994, "test": 5794})
    for split in SPLITS:
        boxes = data.files(split).boxes
        assert boxes is not None
        assert boxes.shape == (sizes[split], 4)
        assert (boxes[:, 2:] > boxes[:, :2]).all()
    with closing(LoaderFactory(data, CPU)) as factory:
        loaders: Any = (factory.make("train", seed=0), factory.make("test"))
        samples = [loader.epoch(0).sample(0) for loader in loaders]
    for sample in samples:
        assert sample.images.shape == (64, 3, 96, 96)
        assert sample.boxes is not None
        assert ((sample.boxes >= 0) & (sample.boxes <= 96)).all()
        area = (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(dim=1) / 96**2
        assert 0.2 < float(area.median()) < 0.9  # birds fill a good part of the picture
