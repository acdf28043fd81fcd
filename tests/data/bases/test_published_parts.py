"""Published sets in part or changed: absent classes, images that no list names, images that were cropped."""

import shutil
from pathlib import Path

import pytest
from PIL import Image

from attnbench.data.bases import box_check
from attnbench.data.sources.left_out import warn_once
from attnbench.errors import UserError
from tests.data.fine_sets import MINIATURES, fine_set, write_set
from tests.data.layouts import WNIDS
from tests.data.published_sets import paths, released, write


@pytest.fixture(autouse=True)
def _anew() -> None:
    warn_once.cache_clear()
    box_check._checked.clear()


def test_tiny_imagenet_has_the_classes_on_disk(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = write("tiny_imagenet", own_folder)
    whole = released("tiny_imagenet", own_folder)
    kept = {split: whole.files(split).labels != 0 for split in ("train", "test")}
    expected = {split: paths(whole.files(split).take(kept[split])) for split in kept}
    shutil.rmtree(home / "train" / min(WNIDS))
    part = released("tiny_imagenet", own_folder)
    part.check_available()
    assert part.classes == tuple(sorted(WNIDS)[1:])
    assert (part.num_classes, part.all_classes) == (2, 200)
    assert {split: paths(part.files(split)) for split in kept} == expected
    assert part.files("test").boxes[:, 0].tolist() == whole.files("test").boxes[kept["test"], 0].tolist()
    first = next(path for path in paths(whole.files("test")) if path not in expected["test"])
    assert caplog.messages == [f"data=tiny_imagenet: {home}: not used: images of absent classes 2 ({first}, …)"]
    for path in paths(whole.files("test")):
        if path not in expected["test"]:
            (home / path).unlink()  # as in a part whose maker was tidy
    released("tiny_imagenet", own_folder).check_available()


def test_tiny_imagenet_of_one_class_is_rejected(own_folder: Path) -> None:
    home = write("tiny_imagenet", own_folder)
    for wnid in WNIDS[1:]:
        shutil.rmtree(home / "train" / wnid)
    with pytest.raises(UserError, match=r"train: holds 1 of the classes in wnids\.txt, not 2 or more"):
        released("tiny_imagenet", own_folder).check_available()


def test_images_that_no_list_names_are_counted(own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = write("pets", own_folder)
    (home / "images" / "gone.jpg").symlink_to("nowhere")
    released("pets", own_folder).check_available()
    expected = "images in no list 1 (images/Bengal_999.jpg), broken links 1 (images/gone.jpg)"
    assert caplog.messages == [f"data=pets: {home}: not used: {expected}"]


@pytest.mark.parametrize("name", MINIATURES)
def test_cropped_images_are_noticed(name: str, own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    home, samples = write_set(name, own_folder)
    fine_set(name, own_folder).check_available()
    assert not caplog.messages
    box_check._checked.clear()
    cropped = 0
    for path, sample in samples.items():
        if sample.train:
            with Image.open(home / path) as image:
                part = image.crop(sample.box)
            part.save(home / path)
            cropped += sample.box[2] > part.width or sample.box[3] > part.height
    fine_set(name, own_folder).check_available()
    (message,) = caplog.messages
    assert f"{home}: train: the boxes of {cropped} of 12 images reach beyond the image, such as that of " in message
    fine_set(name, own_folder).check_available()
    assert len(caplog.messages) == 1


def test_boxes_of_turned_images_are_those_of_the_upright_one(
    own_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home, samples = write_set("stanford_cars", own_folder)
    for path in samples:
        with Image.open(home / path) as image:
            turned = image.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        turned.save(home / path, exif=exif)
    fine_set("stanford_cars", own_folder).check_available()
    assert not caplog.messages
