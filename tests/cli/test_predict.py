"""attnbench predict from the outside: files in, classes out."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from attnbench.backbones.base import Backbone, Features
from attnbench.cli.main import main
from attnbench.training.trained_run import TrainedRun

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def files(bam_run: TrainedRun) -> list[str]:
    """The first test images as files, in a folder whose name has brackets."""
    Path("set [1]").mkdir()
    names = [f"set [1]/image{number}.png" for number in range(3)]
    for name, pixels in zip(names, bam_run.data.load("test").images, strict=False):
        Image.fromarray(pixels[:, :, 0]).save(name)
    return names


def test_files_of_test_images_get_the_runs_own_predictions(
    bam_run: TrainedRun, files: list[str], capsys: Capture
) -> None:  # fmt: skip
    assert main(["predict", str(bam_run.folder), *files, "--top", "10", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = bam_run.predict(bam_run.test_images[:3]).numpy()
    assert [each["file"] for each in found["predictions"]] == files
    assert found["checkpoint"] == "last"
    for each, own in zip(found["predictions"], expected, strict=True):
        values = {pair["class"]: pair["probability"] for pair in each["classes"]}
        assert list(values.values()) == sorted(values.values(), reverse=True)
        assert [values[name] for name in bam_run.classes] == pytest.approx(own.tolist(), abs=1e-6)


def test_csv_has_a_row_for_each_class(bam_run: TrainedRun, files: list[str], capsys: Capture) -> None:
    assert main(["predict", str(bam_run.folder), files[0], "--top", "2", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["file"], row["rank"]) for row in rows] == [(files[0], "1"), (files[0], "2")]


def test_the_terminal_shows_five_classes(bam_run: TrainedRun, files: list[str], capsys: Capture) -> None:
    assert main(["predict", str(bam_run.folder), files[0]]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split() for line in lines if line.split()[-1:] and line.split()[-1].replace(".", "").isdigit()]
    assert len(rows) == 5
    assert files[0] in " ".join(rows[0])


def test_a_bad_file_does_not_stop_the_others(bam_run: TrainedRun, files: list[str], capsys: Capture) -> None:
    Path("bad.png").write_text("no picture")
    assert main(["predict", str(bam_run.folder), "bad.png", files[0], "none.png", "--format", "json"]) == 2
    captured = capsys.readouterr()
    assert [each["file"] for each in json.loads(captured.out)["predictions"]] == [files[0]]
    assert captured.err.splitlines() == [
        "attnbench: bad.png: cannot be decoded: not an image of a known format",
        "attnbench: none.png: there is no such file",
    ]


@pytest.mark.parametrize("form", ["json", "csv", "terminal"])
def test_outputs_that_are_not_finite_are_refused(
    bam_run: TrainedRun, files: list[str], form: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def diverged(backbone: Backbone, features: Features) -> Tensor:
        return features.final.new_full((len(features.final), 10), float("nan"))

    monkeypatch.setattr(Backbone, "classify", diverged)
    assert main(["predict", str(bam_run.folder), files[0], "--format", form]) == 2
    assert capsys.readouterr() == (
        "", f"attnbench: {files[0]}: the network's outputs are not finite, so nothing can be said\n",
    )  # fmt: skip


def test_maps_are_numbers_and_a_picture(bam_run: TrainedRun, files: list[str], capsys: Capture) -> None:
    command = ["predict", str(bam_run.folder), *files[:2], "--maps", "maps"]
    assert main(command) == 0
    expected = bam_run.maps(bam_run.test_images[:2])
    for index, name in enumerate(("image0.png", "image1.png")):
        with np.load(f"maps/{name}.npz") as found:
            assert set(found) == set(expected)
            for key, values in expected.items():
                assert found[key].dtype == np.float32
                assert np.abs(found[key] - values[index].numpy()).max() < 1e-5
        with Image.open(f"maps/{name}.png") as picture:
            assert min(picture.size) > 100
    capsys.readouterr()
    assert main(command) == 2
    assert "image0.png.npz exists already; --force replaces it" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0


def test_files_of_one_name_have_maps_of_their_own(bam_run: TrainedRun, files: list[str]) -> None:
    Path("other").mkdir()
    Path("other/image0.png").write_bytes(Path(files[0]).read_bytes())
    assert main(["predict", str(bam_run.folder), files[0], "other/image0.png", "--maps", "maps"]) == 0
    names = {path.name for path in Path("maps").iterdir()}
    assert names == {"image0.png.npz", "image0.png.png", "image0-2.png.npz", "image0-2.png.png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the following arguments are required: RUN, FILE"),
        (("RUN",), "the following arguments are required: FILE"),
        (("RUN", "a.png", "--top", "0"), "--top 0: must be at least 1"),
        (("nowhere", "a.png"), "nowhere: no such run"),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[str, ...], message: str, bam_run: TrainedRun, capsys: Capture
) -> None:  # fmt: skip
    assert main(["predict", *(str(bam_run.folder) if word == "RUN" else word for word in words)]) == 2
    found = capsys.readouterr().err
    assert message in found
    assert found.count("\n") == 1
