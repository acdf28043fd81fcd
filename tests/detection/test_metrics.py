"""COCO's numbers against the authors' pycocotools, and VOC's against cases worked out by hand."""

import contextlib
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attnbench.detection.metrics import DetectionMeter, coco_metrics, voc_metrics
from attnbench.detection.voc import average_precision
from attnbench.training.metrics import ImageCountError

Image = dict[str, Tensor]


def random_images(count: int) -> tuple[list[Image], list[Image]]:
    """Detections near objects of three classes, with some crowds among them."""
    draw = np.random.default_rng(3)
    detected, objects = [], []
    for _ in range(count):
        corners, sides = draw.uniform(0, 60, (5, 2)), draw.uniform(12, 40, (5, 2))
        boxes = np.concatenate([corners, corners + sides], 1)
        labels, crowd = draw.integers(1, 4, 5), draw.random(5) < 0.2
        objects.append(image_of(boxes, labels) | {"crowd": torch.from_numpy(crowd)})
        near = np.concatenate([boxes, boxes]) + draw.normal(0, 3, (10, 4))
        found = np.where(draw.random(10) < 0.8, np.tile(labels, 2), draw.integers(1, 4, 10))
        detected.append(image_of(near, found) | {"scores": torch.from_numpy(draw.random(10)).float()})
    return detected, objects


def image_of(boxes: Any, labels: Any, difficult: Any = None) -> Image:
    none = torch.zeros(len(labels), dtype=torch.bool)
    return {
        "boxes": torch.as_tensor(np.asarray(boxes), dtype=torch.float32).reshape(-1, 4),
        "labels": torch.as_tensor(np.asarray(labels)),
        "crowd": none,
        "difficult": none if difficult is None else torch.tensor(difficult),
    }


def by_the_authors(detected: list[Image], objects: list[Image]) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def xywh(box: list[float]) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    annotations = [
        {"id": 100 * number + place + 1, "image_id": number, "category_id": label, "bbox": xywh(box),
         "area": xywh(box)[2] * xywh(box)[3], "iscrowd": int(crowd)}
        for number, image in enumerate(objects)
        for place, (box, label, crowd) in enumerate(
            zip(image["boxes"].tolist(), image["labels"].tolist(), image["crowd"].tolist(), strict=True))
    ]  # fmt: skip
    results = [
        {"image_id": number, "category_id": label, "bbox": xywh(box), "score": score}
        for number, image in enumerate(detected)
        for box, label, score in zip(
            image["boxes"].tolist(), image["labels"].tolist(), image["scores"].tolist(), strict=True)
    ]  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": number} for number in range(len(objects))],
            "annotations": annotations,
            "categories": [{"id": label} for label in (1, 2, 3)],
            "info": {},
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_coco_metrics_are_pycocotools_with_crowds() -> None:
    detected, objects = random_images(12)
    expected, got = by_the_authors(detected, objects), coco_metrics(detected, objects, ["a", "b", "c"])
    assert [got[name] for name in ("map", "map50", "map75")] == pytest.approx(expected.stats[:3].tolist(), abs=1e-5)
    of_classes = expected.eval["precision"][0, :, :, 0, -1].mean(0)
    assert [got[f"map50/{name}"] for name in "abc"] == pytest.approx(of_classes.tolist(), abs=1e-5)


def test_vocs_precision_is_that_of_a_case_worked_out_by_hand() -> None:
    """Four objects, found by the 1st, 2nd and 5th of five detections: precisions 1, 1, 2/3, 1/2, 3/5."""
    correct = np.array([True, True, False, False, True])
    # recalls 0 to 0.5 have precision 1, up to 0.7 (0.75 is reached) 0.6, and above none
    assert average_precision(correct, 4, "eleven") == pytest.approx((6 * 1 + 2 * 0.6) / 11)
    assert average_precision(correct, 4, "all") == pytest.approx(0.5 * 1 + 0.25 * 0.6)


def test_voc_counts_a_second_detection_of_an_object_as_wrong_and_none_of_a_difficult_one() -> None:
    objects = [image_of([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 1], difficult=[False, True])]
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [50, 50, 60, 60]]
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    detected = [image_of(boxes, [1, 1, 1, 1]) | {"scores": scores}]
    assert voc_metrics(detected, objects) == {"voc07_map50": 1.0, "voc12_map50": 1.0}  # found first; the rest is later
    late = [image_of(boxes, [1, 1, 1, 1]) | {"scores": scores.flip(0)}]  # a wrong one first, the difficult one second
    # of what counts: wrong, correct, wrong a second time
    assert voc_metrics(late, objects)["voc12_map50"] == pytest.approx(0.5)


def test_classes_without_an_object_that_counts_are_left_out() -> None:
    objects = [image_of([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 2], difficult=[False, True])]
    detected = [image_of([[0, 0, 10, 10]], [1]) | {"scores": torch.tensor([0.9])}]
    assert voc_metrics(detected, objects)["voc07_map50"] == 1.0
    nothing = [image_of([], [])]
    assert voc_metrics(nothing, nothing) == {"voc07_map50": None, "voc12_map50": None}


def test_a_meter_reads_images_in_the_splits_order_and_counts_them() -> None:
    meter = DetectionMeter(["a", "b", "c"])
    detected, objects = random_images(4)
    for number in (2, 0, 3, 1):
        meter.add([detected[number]], [objects[number] | {"image": torch.tensor(number)}])
    metrics = meter.read("test", 4)
    assert metrics == {**coco_metrics(detected, objects, ["a", "b", "c"]), **voc_metrics(detected, objects)}
    assert [len(image["scores"]) for image in meter.detected] == [10] * 4
    with pytest.raises(ImageCountError):
        meter.read("test", 4)
