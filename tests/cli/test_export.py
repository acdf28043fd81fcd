"""attnbench export from the outside: what is written, printed and rejected."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from attnbench.cli.main import main
from attnbench.export import export
from attnbench.training.trained_run import TrainedRun

Capture = pytest.CaptureFixture[str]


def test_onnx_runs_in_onnxruntime(bam_run: TrainedRun, capsys: Capture) -> None:
    assert main(["export", str(bam_run.folder), "--to", "net.onnx", "--maps"]) == 0
    out = capsys.readouterr().out
    content = Path("net.onnx").read_bytes()
    assert b"site-packages" not in content and str(bam_run.folder).encode() not in content
    session = onnxruntime.InferenceSession("net.onnx")
    pixels = bam_run.data.load("test").images[:7].transpose(0, 3, 1, 2)
    outputs = dict(
        zip([each.name for each in session.get_outputs()], session.run(None, {"pixels": pixels}), strict=True)
    )
    expected = bam_run.predict(bam_run.test_images[:7]).numpy()
    assert np.abs(outputs["probabilities"] - expected).max() < 1e-5
    assert {f"maps/{name}" for name in bam_run.maps(bam_run.test_images[:1])} < set(outputs)
    assert json.loads(session.get_modelmeta().custom_metadata_map["attnbench"])["classes"] == list(bam_run.classes)
    assert out.startswith("net.onnx · onnx · ")
    assert "uint8 pixels (B, 1, 8, 8), any batch, any image size" in out
    assert "largest difference to the original" in out


@pytest.mark.slow
def test_a_graph_needs_no_attnbench(bam_run: TrainedRun) -> None:
    assert main(["export", str(bam_run.folder), "--format", "torch_export", "--pixels", "float"]) == 0
    found = torch.export.load(bam_run.folder / "exports" / "last.pt2").module()
    pixels = torch.from_numpy(bam_run.data.load("test").images[:3].transpose(0, 3, 1, 2) / np.float32(255))
    torch.testing.assert_close(
        found(pixels)["probabilities"], bam_run.predict(bam_run.test_images[:3]), rtol=0, atol=1e-5
    )


def test_safetensors_have_a_card_beside_them(bam_run: TrainedRun, capsys: Capture) -> None:
    assert main(["export", str(bam_run.folder), "--to", "nets/bam.safetensors"]) == 0
    assert Path("nets/bam.md").read_text(encoding="utf-8").startswith("# digits-resnet20-bam-")
    assert "nets/bam.safetensors, nets/bam.md · safetensors" in capsys.readouterr().out
    assert sorted(path.name for path in Path("nets").iterdir()) == ["bam.md", "bam.safetensors"]


def test_a_file_is_replaced_only_by_force(bam_run: TrainedRun, capsys: Capture) -> None:
    command = ["export", str(bam_run.folder), "--to", "bam.safetensors"]
    Path("bam.md").write_text("mine")
    assert main(command) == 2
    assert (
        capsys.readouterr().err == "attnbench: bam.md: exists already; --force replaces it, --to names another file\n"
    )
    assert Path("bam.md").read_text() == "mine"
    assert not Path("bam.safetensors").exists()
    assert main([*command, "--force"]) == 0
    assert Path("bam.md").read_text() != "mine"


MISTAKES = {
    ("RUN",): "name a format with --format, or a file with its ending: onnx (.onnx), torch_export (.pt2), safetensors",
    ("RUN", "--format", "onxx"): "invalid choice: 'onxx'",
    ("RUN", "--format", "onnx", "--to", "a.pt2"): "this is the ending of another format; that of onnx is .onnx",
    ("RUN", "--to", "net.bin"): "name a format",
    ("0123456789", "--format", "onnx"): "0123456789: no run in outputs/runs",
    ("RUN", "--format", "safetensors", "--to", "."): "is a folder; --to names a file",
    (): "the following arguments are required: RUN",
}


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_mistakes_are_one_line(words: tuple[str, ...], bam_run: TrainedRun, capsys: Capture) -> None:
    assert main(["export", *(str(bam_run.folder) if word == "RUN" else word for word in words)]) == 2
    message = capsys.readouterr().err
    assert MISTAKES[words] in message
    assert message.count("\n") == 1


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # what Python takes for a package that is missing
    assert main(["export", "any", "--format", "onnx"]) == 2
    expected = "--format onnx needs onnxruntime, which is not installed: pip install 'attnbench[onnx]'"
    assert capsys.readouterr().err == f"attnbench: {expected}\n"


def test_what_has_no_maps_says_so(trained: Callable[..., TrainedRun], capsys: Capture) -> None:
    run = trained("attention=none")
    Image.new("L", (8, 8)).save("black.png")
    for words in (
        ("export", str(run.folder), "--to", "a.pt2", "--maps"),
        ("predict", str(run.folder), "black.png", "--maps", "m"),
    ):
        capsys.readouterr()
        assert main(words) == 2
        assert capsys.readouterr().err == "attnbench: --maps: attention=none has no maps\n"


def test_another_result_is_not_written(bam_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(export, "first_test_pixels", lambda data, count: 255 - data.load("test").images[:count])
    assert main(["export", str(bam_folder), "--to", "net.safetensors"]) == 2
    message = capsys.readouterr().err
    assert "not written: the export differs from the original by " in message
    assert "up to 1e-04 is allowed" in message
    assert not list(Path().iterdir())
