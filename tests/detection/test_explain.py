"""A trained detector is explained, and detects objects in image files."""

import csv
import io
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from attnbench.cli.main import main
from attnbench.cli.worker import work
from attnbench.config.compose import compose
from attnbench.detection.explain import (
    FOUND,
    ClassScores,
    DetectorSession,
    _alike,
    _stacked,
    cam_panel,
    marks,
    of_image,
    probed,
)
from attnbench.detection.trained_run import DetectorRun, FoundObjects, ReadImage
from attnbench.errors import UserError
from attnbench.explain.jobs import found_by, jobs_of
from attnbench.explain.panels import Mark, Panel
from attnbench.explain.probes import slot_at
from attnbench.runs.explanations import Request
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import settle_one

WORDS = (
    "task=detection", "task.detector=ssdlite", "backbone=mobilenet_v1", "backbone.alpha=0.25", "attention=bam",
    "attention.reduction=4", "data.train_images=24", "data.validation=8", "data.test_images=8", "data.batch_size=8",
    "recipe.epochs=1", "trainer.threads=1", "trainer.precision=fp32", "logger=none",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetectorRun]:
    job = plan(compose([*WORDS, f"output={tmp_path_factory.mktemp('outputs')}"]))
    train(job)
    yield DetectorRun(settle_one(job.folder))


def test_the_test_images_are_read_with_their_objects(run: DetectorRun) -> None:
    first, last = run.test_images([7, 2])
    assert (first.name, last.name) == ("2", "7")
    assert first.pixels.shape == (1, 64, 64)
    assert first.objects is not None and 1 <= len(first.objects.boxes) <= 4


def test_the_score_of_a_class_is_that_of_its_most_certain_detection(run: DetectorRun) -> None:
    (image,) = run.test_images([0])
    found = run.detect(image)
    with torch.no_grad():
        (scores,) = ClassScores(run.model)(image.pixels[None]).numpy()
    for label in range(10):
        assert scores[label] == pytest.approx(found.scores[found.labels == label].max(initial=0))
    assert (np.diff(found.scores) <= 0).all()


def test_a_probe_is_read_by_the_detector(run: DetectorRun) -> None:
    (image,) = run.test_images([0])
    slot = slot_at(run.model, "stage3.out")
    assert list(slot) == ["bam", "detection"]
    with probed(run.model, "stage3.out") as (network, probe):
        kept: list[torch.Tensor] = []
        handle = probe.register_forward_hook(lambda module, inputs, output: kept.append(output))
        network(image.pixels[None]).max().backward()
        handle.remove()
        assert kept[0].grad_fn is not None
        assert list(slot) == ["bam", "explained", "detection"]
    assert list(slot) == ["bam", "detection"]
    run.model.zero_grad(set_to_none=True)


@pytest.mark.slow
def test_a_sheet_shows_maps_under_objects_and_detections(run: DetectorRun, tmp_path: Path) -> None:
    session = DetectorSession([run], Request(images=3, faithfulness=True), tmp_path)
    explained = session.find()
    ((found, scores),) = explained
    assert scores == {}
    assert [panel.name for panel in found.cams] == ["cam/gradcam/stage3.out", "cam/gradcam/stage4.out"]
    assert {"stage1.out/M", "stage3.out/M"} <= {panel.name for panel in found.panels}
    assert found.cams[0].values.shape == (3, 8, 8)
    objects = [mark for mark in found.marks(0) if mark.colour != FOUND]
    (image, *_) = session.chosen
    assert image.objects is not None
    assert np.array([mark.box for mark in objects]).tolist() == image.objects.boxes.tolist()
    lines = list(session.lines(explained))
    assert lines[0].startswith("--faithfulness: left out")
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".npz", ".html"}
    with np.load(next(tmp_path.glob("*.npz"))) as kept:
        assert kept["panel/cam/gradcam/stage3.out"].shape == (3, 8, 8)


def test_image_files_are_explained_without_the_test_set(
    run: DetectorRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (48, 32)).save(tmp_path / "black.png")

    def fail(*_: object) -> int:
        raise FileNotFoundError

    monkeypatch.setattr("attnbench.detection.explain.split_size", fail)
    session = DetectorSession([run], Request(images=2, files=(tmp_path / "black.png",)), tmp_path)
    assert session.images.names == ("black.png",)
    with pytest.raises(FileNotFoundError):
        DetectorSession([run], Request(images=2), tmp_path)


def test_a_job_finds_the_same_as_the_command_itself(run: DetectorRun, tmp_path: Path) -> None:
    session = DetectorSession([run], Request(images=2), tmp_path)
    (job,) = jobs_of(session, compose(["launch=dry"]), tmp_path)
    job.folder.mkdir(parents=True)
    job.save(job.folder / "job.json")
    assert work(job.folder / "job.json") == 0
    ((expected, _),) = session.find()
    found, scores = found_by(job, session, expected.name)
    assert scores == {} and found.names == expected.names
    for name in ("predicted", "probability", "targets", "pictures"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for panel, other in zip(found.panels, expected.panels, strict=True):
        np.testing.assert_array_equal(panel.values, other.values)
    for index in range(2):
        for mark, other_mark in zip(found.marks(index), expected.marks(index), strict=True):
            assert (mark.colour, mark.words) == (other_mark.colour, other_mark.words)
            np.testing.assert_array_equal(mark.box, other_mark.box)


def test_images_of_several_sizes_share_a_canvas() -> None:
    panels = [[Panel("a", "a", np.ones((1, *shape), np.float32))] for shape in ((2, 3), (4, 2))]
    alike = _alike(panels, [(32, 48), (64, 32)])
    assert [panel.values.shape for (panel,) in alike] == [(1, 8, 6), (1, 8, 6)]
    assert alike[0][0].values[0, :4].min() == 1
    assert alike[0][0].values[0, 4:].max() == 0  # below the image
    assert _stacked([np.ones((1, 32, 48), np.float32), np.ones((1, 64, 32), np.float32)]).shape == (2, 1, 64, 48)


@pytest.mark.parametrize("fixed_size", [(64, 64), None])
def test_maps_end_where_the_image_ends(
    run: DetectorRun, fixed_size: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSDLite stretches images; other detectors pad them to multiples of 32 pixels, here from 40 x 80 to 64 x 96."""
    for name, value in {"fixed_size": fixed_size, "min_size": (40,), "max_size": 80, "size_divisible": 32}.items():
        monkeypatch.setattr(run.model.model.transform, name, value)
    pixels, stride = torch.rand(1, 40, 80), run.model.backbone.points["stage3.out"].stride
    shape = (1, math.ceil(40 / stride), math.ceil(80 / stride))
    for target in (None, 0):
        assert cam_panel(run.model, pixels, target, "stage3.out", "gradcam").values.shape == shape
    size = (64, 64) if fixed_size else (64, 96)
    rows = torch.arange(size[0] // stride).float()[None, :, None].expand(1, -1, size[1] // stride)
    seen = 64 if fixed_size else 40
    assert of_image(run.model, rows, pixels).max() == math.ceil(seen / stride) - 1


def test_detections_in_files_are_in_pixels_of_the_file(
    run: DetectorRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (image,) = run.test_images([0])
    pixels = (image.pixels[0] * 255).round().to(torch.uint8).numpy()
    Image.fromarray(pixels).save(tmp_path / "same.png")
    Image.fromarray(pixels.repeat(2, 0).repeat(2, 1)).save(tmp_path / "double.png")
    files = [str(tmp_path / name) for name in ("same.png", "double.png")]
    assert main(["predict", str(run.folder), *files, "--format", "json", "--top", "2"]) == 0
    same, double = json.loads(capsys.readouterr().out)["predictions"]
    expected = run.detect(image)
    assert len(same["detections"]) == 2
    assert same["detections"][0]["box"] == pytest.approx(expected.boxes[0].tolist(), abs=0.01)
    assert same["detections"][0]["class"] == run.classes[expected.labels[0]]
    assert double["detections"][0]["box"] == pytest.approx((2 * expected.boxes[0]).tolist(), abs=1)
    missing = str(tmp_path / "missing.png")
    assert main(["predict", str(run.folder), files[0], missing, "--format", "csv", "--top", "1"]) == 2
    out, err = capsys.readouterr()
    assert [row["rank"] for row in csv.DictReader(io.StringIO(out))] == ["1"]
    assert "missing.png" in err
    assert main(["predict", str(run.folder), files[0]]) == 0
    assert "same.png" in capsys.readouterr().out


def test_an_image_of_which_nothing_would_be_left_is_named(
    run: DetectorRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (300, 1)).save(tmp_path / "thin.png")
    run.read(tmp_path / "thin.png")  # SSDLite stretches images to a square
    monkeypatch.setattr(run.model.model.transform, "fixed_size", None)
    monkeypatch.setattr(run.model.model.transform, "max_size", 64)
    with pytest.raises(UserError, match=r"thin\.png: 300x1 pixels are too narrow where .* reduced to 64"):
        run.read(tmp_path / "thin.png")


MISTAKES = {
    "pick": ({"pick": "wrong"}, "--pick wrong: is for networks that classify images"),
    "true class": ({"target": "true"}, "--class true: an image has several objects"),
    "unknown class": ({"target": "eleven"}, "class eleven: no such class"),
    "unknown layer": ({"layers": ("stage9.out",)}, "layer stage9.out: no such place"),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_requests_that_make_no_sense_are_rejected(run: DetectorRun, changes: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        DetectorSession([run], Request(**{"images": 1, **changes}), Path("unused")).explanations()  # type: ignore[arg-type]


def test_maps_of_files_and_exports_are_of_classifiers(run: DetectorRun, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["predict", str(run.folder), "x.png", "--maps", "maps"],
        ["export", str(run.folder), "--format", "safetensors"],
    ):
        assert main(words) == 2
        assert "networks that classify images" in capsys.readouterr().err


def test_marks_name_certain_detections() -> None:
    image = ReadImage("a", torch.zeros(1, 10, 10), (2.0, 2.0))
    found = FoundObjects(
        np.array([[2, 2, 8, 8], [0, 0, 4, 4]], np.float32), np.array([1, 0]), np.array([0.9, 0.4], np.float32)
    )
    (mark,) = marks(image, found, ("a", "b"))
    assert isinstance(mark, Mark)
    assert (mark.box.tolist(), mark.words) == ([1, 1, 4, 4], "b 0.90")
