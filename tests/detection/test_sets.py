"""Detection sets: the made one, and miniatures of VOC's and COCO's layouts with what can be wrong in them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

from attnbench.config.compose import compose
from attnbench.construct import build_data
from attnbench.data.bases.dataset import DataSet
from attnbench.data.loaders.base import Placement
from attnbench.data.sources.image_files import ImageFiles
from attnbench.detection.data.base import DetectionSet
from attnbench.detection.data.size_check import size_problem
from attnbench.detection.explain import DetectorSession
from attnbench.detection.loaders import DetectionLoaders
from attnbench.detection.trained_run import DetectorRun
from attnbench.errors import UserError
from attnbench.runs.explanations import Request
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import settle_one
from tests.training.test_train import record_of

SMALL = ("data.image_size=32", "data.max_size=64", "data.batch_size=2", "data.workers=0")
OBJECT = (
    "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
    "<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox><part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
    "<xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"
)


def picture(path: Path, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 100, np.uint8)).save(path)


def write_voc(root: Path, objects: str = "") -> None:
    """A devkit with two training images and one test image of 40x30 pixels."""
    folder = root / "VOC2007"
    for name, images in {"trainval": ["000001", "000002"], "test": ["000003"]}.items():
        (folder / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (folder / f"ImageSets/Main/{name}.txt").write_text("\n".join(images) + "\n")
        for image in images:
            picture(folder / f"JPEGImages/{image}.jpg", 40, 30)
            own = OBJECT.format(name="dog", difficult=0, box=(1, 1, 20, 15))
            own += OBJECT.format(name="cat", difficult=1, box=(11, 6, 40, 30))
            size = "<size><width>40</width><height>30</height><depth>3</depth></size>"
            (folder / "Annotations").mkdir(exist_ok=True)
            text = f"<annotation>{size}{objects or own}</annotation>"
            (folder / f"Annotations/{image}.xml").write_text(text)


def write_coco(root: Path, **changes: Any) -> None:
    """COCO's layout, with the images 7 and 9; `changes` are of the first annotation."""
    for split, numbers in {"train2017": (7, 9), "val2017": (9,)}.items():
        for number in numbers:
            picture(root / split / f"{number}.jpg", 60, 40)
        annotations = [
            {"id": 1, "image_id": numbers[0], "category_id": 90, "bbox": [2, 3, 20, 10], "iscrowd": 0, **changes},
            {"id": 2, "image_id": numbers[-1], "category_id": 18, "bbox": [5.5, 5, 54.6, 20], "iscrowd": 1},
        ]
        content = {
            "images": [
                {"id": number, "file_name": f"{number}.jpg", "width": 60, "height": 40} for number in reversed(numbers)
            ],
            "annotations": annotations,
            "categories": [{"id": 90, "name": "toothbrush"}, {"id": 18, "name": "dog"}],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / f"annotations/instances_{split}.json").write_text(json.dumps(content))


def change_coco(split: str, change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path(f"annotations/instances_{split}.json")
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def detection_set(*overrides: str) -> DetectionSet:
    data = build_data(compose(list(overrides)), "detection")
    assert isinstance(data, DetectionSet)
    return data


def voc() -> DetectionSet:
    return detection_set("data=voc", "data.root=.", "data.train=[2007/trainval]", *SMALL)


def coco() -> DetectionSet:
    return detection_set("data=coco", "data.root=.", *SMALL)


def first_batch(data: DataSet, split: Any, seed: int | None = None) -> Any:
    loaders = DetectionLoaders(data, Placement(torch.device("cpu")))
    try:
        return loaders.make(split, seed).epoch().batch(0)
    finally:
        loaders.close()


def test_made_boxes_enclose_their_digits_and_do_not_overlap() -> None:
    data = detection_set(
        "data=cluttered_digits_boxes", "data.train_images=40", "data.validation=10", "data.distractors=0"
    )
    images, objects = data.load("train").images, data.objects("train")
    assert len(images) == len(objects) == 30
    for index, image in enumerate(images[..., 0]):
        outside, boxes = image.copy(), objects[index].boxes.astype(int)
        assert 1 <= len(boxes) <= 4
        for left, top, right, bottom in boxes:
            assert outside[top:bottom, left:right].max() > 100
            outside[top:bottom, left:right] = 0
        assert outside.max() < 60  # nothing but faint edges of strokes
    again = detection_set(
        "data=cluttered_digits_boxes", "data.train_images=40", "data.validation=10", "data.distractors=0"
    )
    assert (again.load("train").images == images).all()


def test_a_single_validation_image_is_made_of_digits_of_its_own() -> None:
    few = ["task=detection", "data=cluttered_digits_boxes", "data.train_images=20000", "data.validation=1"]
    data = build_data(compose(few), "detection")
    assert len(data.load("validation")) == 1
    assert data.fingerprint() == "cluttered digits with boxes, recipe 1, 10 digits held out"


def test_voc_in_its_authors_layout(own_folder: Path) -> None:
    write_voc(own_folder)
    data = voc()
    data.check_available()
    objects = data.objects("train")[0]
    assert objects.boxes.tolist() == [[0, 0, 20, 15], [10, 5, 40, 30]]  # from 0, ends behind the last pixel
    assert [data.classes[label] for label in objects.labels] == ["dog", "cat"]
    assert objects.difficult.tolist() == [False, True]
    images, targets = first_batch(data, "test")
    assert images[0].shape == (3, 32, 42)
    assert targets[0]["scale"].tolist() == pytest.approx([40 / 42, 30 / 32] * 2)
    assert targets[0]["boxes"].tolist() == objects.boxes.tolist()
    _, trained = first_batch(data, "train", seed=0)
    assert [len(target["labels"]) for target in trained] == [1, 1]  # not the difficult one


def test_coco_in_its_authors_layout(own_folder: Path) -> None:
    write_coco(own_folder)
    data = coco()
    data.check_available()
    assert (data.classes, list(data.category_ids)) == (("dog", "toothbrush"), [18, 90])
    assert list(data.image_ids("train")) == [7, 9]
    first, second = (data.objects("train")[index] for index in (0, 1))
    assert (first.boxes.tolist(), first.labels.tolist()) == ([[2, 3, 22, 13]], [1])
    assert second.boxes.tolist() == [[5.5, 5, 60, 25]]  # clipped at the border
    assert second.crowd.tolist() == [True]
    _, targets = first_batch(data, "train", seed=0)
    assert sorted(len(target["labels"]) for target in targets) == [0, 1]  # not the crowd


def test_images_to_detect_in_may_be_held_out_whatever_their_first_object_is(own_folder: Path) -> None:
    """The only image that begins with a toothbrush is held out: other images may hold further ones."""
    write_coco(own_folder)
    data = detection_set("data=coco", "data.root=.", "data.validation=1", *SMALL)
    data.check_available()
    assert [len(data.load(split)) for split in ("train", "validation")] == [1, 1]


def test_flipped_boxes_stay_with_their_objects(own_folder: Path) -> None:
    write_voc(own_folder)
    data = voc()
    seen = set()
    for seed in range(6):
        images, targets = first_batch(data, "train", seed)
        for image, target in zip(images, targets, strict=True):
            seen.add(tuple(round(edge) for edge in target["boxes"][0].tolist()))
            assert image.shape[2] == 42
    assert seen == {(0, 0, 21, 16), (21, 0, 42, 16)}


VOC_MISTAKES = {
    "unknown class": ({"name": "dgo"}, "000001.xml: object 1 (dgo): is none of VOC's 20 classes; did you mean dog?"),
    "outside": ({"box": (50, 1, 60, 9)}, "object 1 (dog): the box 49, 0, 60, 9 is outside the image of 40x30 pixels"),
    "reversed": ({"box": (20, 1, 5, 9)}, "has reversed edges"),
    "no number": ({"box": ("", 1, 5, 9)}, "must give 4 numbers for object 1 (dog)"),
}


@pytest.mark.parametrize(("changes", "message"), VOC_MISTAKES.values(), ids=VOC_MISTAKES.keys())
def test_a_mistake_in_voc_names_file_and_object(own_folder: Path, changes: dict[str, Any], message: str) -> None:
    write_voc(own_folder, OBJECT.format(**{"name": "dog", "difficult": 0, "box": (1, 1, 9, 9), **changes}))
    with pytest.raises(UserError) as caught:
        voc().check_available()
    assert message in str(caught.value)
    assert "000001.xml" in str(caught.value)


COCO_MISTAKES = {
    "outside": ({"bbox": [70, 3, 20, 10]}, "annotation 1: the box 70, 3, 90, 13"),
    "three numbers": ({"bbox": [70, 3, 20]}, "annotation 1: bbox must be four numbers, and is [70, 3, 20]"),
    "no such image": ({"image_id": 8}, "annotation 1: there is no image 8"),
    "no such category": ({"category_id": 5}, "annotation 1: there is no category 5"),
    "reversed": ({"bbox": [7, 3, -2, 10]}, "annotation 1: the box 7, 3, 5, 13"),
    "no list": ({"bbox": None}, "entry 1 of annotations: bbox must be four numbers"),
    "no number of an image": ({"image_id": [7]}, "entry 1 of annotations: image_id must be a whole number"),
}


@pytest.mark.parametrize(("changes", "message"), COCO_MISTAKES.values(), ids=COCO_MISTAKES.keys())
def test_a_mistake_in_coco_names_file_and_object(own_folder: Path, changes: dict[str, Any], message: str) -> None:
    write_coco(own_folder, **changes)
    with pytest.raises(UserError) as caught:
        coco().check_available()
    assert f"instances_train2017.json: {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        ("images", {"width": None}, "entry 1 of images: width must be a number"),
        ("images", {"file_name": 5}, "entry 1 of images: file_name must be text"),
        ("images", {"id": 7}, "several images have the same id"),
        ("categories", {"id": "x"}, "entry 1 of categories: id must be a whole number"),
        ("categories", {"name": "dog"}, "several categories have the same name"),
    ],
)
def test_entries_of_the_wrong_kind_are_named(own_folder: Path, key: str, changes: dict[str, Any], message: str) -> None:
    write_coco(own_folder)
    change_coco("train2017", lambda content: content[key][0].update(changes))
    with pytest.raises(UserError, match=f"instances_train2017.json: {message}"):
        coco().check_available()


def test_images_of_other_sizes_than_their_annotations_state_are_refused(own_folder: Path) -> None:
    write_coco(own_folder)
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6  # a phone's: stored on its side, and decoded upright
    Image.new("RGB", (40, 60)).save("val2017/9.jpg", exif=turned)
    coco().check_available()
    picture(Path("val2017/9.jpg"), 30, 20)
    with pytest.raises(UserError) as caught:
        coco().check_available()
    assert "1 of 1 images looked at have other sizes" in str(caught.value)
    assert "val2017/9.jpg: 30x20, not 60x40; boxes must be in pixels of the images" in str(caught.value)


def test_one_odd_size_in_many_images_and_files_that_are_no_images_are_left_alone(tmp_path: Path) -> None:
    for number in range(100):
        picture(tmp_path / f"{number}.png", 4, 3)
    (tmp_path / "1.png").write_text("no image")
    picture(tmp_path / "2.png", 5, 3)
    images = ImageFiles.from_lists(tmp_path, [f"{number}.png" for number in range(100)], [0] * 100)
    assert size_problem(images, [(4, 3)] * 100) == ""
    picture(tmp_path / "3.png", 5, 3)
    assert size_problem(images, [(4, 3)] * 100).startswith("2 of 100 images looked at have other sizes")


def test_each_files_categories_have_its_own_numbers(own_folder: Path) -> None:
    write_coco(own_folder)
    expected = coco().objects("test")[0].labels.tolist()

    def renumber(content: dict[str, Any]) -> None:
        for each in content["categories"]:
            each["id"] = {90: 18, 18: 90}[each["id"]]
        for each in content["annotations"]:
            each["category_id"] = {90: 18, 18: 90}[each["category_id"]]

    change_coco("val2017", renumber)
    assert coco().objects("test")[0].labels.tolist() == expected
    assert len(set(expected)) == 2
    change_coco("val2017", lambda content: content["categories"][0].update(name="cat"))
    with pytest.raises(UserError, match="there is no category 18 in the training file"):
        coco().check_available()


def test_empty_boxes_are_left_out_and_named(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_coco(own_folder, bbox=[2, 3, 0, 10])
    data = coco()
    data.check_available()
    assert "boxes without area 2 (instances_train2017.json, annotation 1, …)" in caplog.text
    assert len(data.objects("train")[0].labels) == 0


@pytest.mark.parametrize(
    ("write", "make", "gone", "message"),
    [
        (write_voc, voc, "VOC2007/ImageSets/Main/test.txt", "test.txt is missing; set data.root to VOCdevkit"),
        (write_voc, voc, "VOC2007/JPEGImages/000002.jpg", "lacks VOC2007/JPEGImages/000002.jpg, which the annotations"),
        (write_coco, coco, "annotations/instances_val2017.json", "instances_val2017.json is missing"),
        (write_coco, coco, "train2017/9.jpg", "lacks train2017/9.jpg"),
    ],
)
def test_a_missing_file_is_named(
    own_folder: Path, write: Callable[..., None], make: Callable[[], DetectionSet], gone: str, message: str
) -> None:
    write(own_folder)
    (own_folder / gone).unlink()
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        make().check_available()


def test_the_fingerprint_is_of_the_boxes_too(own_folder: Path) -> None:
    write_coco(own_folder)
    before = coco().fingerprint()
    write_coco(own_folder, bbox=[2, 3, 21, 10])
    assert coco().fingerprint() != before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "data"), [(write_voc, ("data=voc", "data.train=[2007/trainval]")), (write_coco, ("data=coco",))]
)
@pytest.mark.parametrize(
    "detector",
    [
        ("task.detector=ssd", "backbone=vgg16_bn", "backbone.depth=11", "backbone.width=8"),
        ("task.detector=ssdlite", "backbone=mobilenet_v1", "backbone.alpha=0.25"),
    ],
    ids=["ssd", "ssdlite"],
)
def test_single_shot_detectors_are_trained_and_explained_on_the_authors_layouts(
    own_folder: Path, write: Callable[..., None], data: tuple[str, ...], detector: tuple[str, ...]
) -> None:
    write(own_folder)
    words = ("task=detection", *data, "data.root=.", *detector, "attention=bam", "attention.reduction=4", *SMALL)
    job = plan(compose([*words, "data.image_size=64", "recipe.epochs=1", "logger=none", "trainer.precision=fp32"]))
    train(job)
    run = DetectorRun(settle_one(job.folder))
    assert 0 <= record_of(job)["test/voc07_map50"] <= 1
    (image,) = run.test_images([0])
    assert min(image.pixels.shape[1:]) == 64 or max(image.pixels.shape[1:]) == 64
    found = run.detect(image)
    width, height = (side * scale for side, scale in zip(image.pixels.shape[:0:-1], image.scale, strict=True))
    assert (found.boxes <= np.array([width, height] * 2) + 0.1).all()
    (explanation,) = DetectorSession([run], Request(images=1), own_folder / "pictures").explanations()
    assert len(explanation.cams) == 2
