"""Weights in runs: identity, resumption, evaluation, downloads, messages."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from attnbench.attention.base import Attention
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.runs.files import write_json
from attnbench.runs.folder import Job, RunFolder
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.weights import load as weights
from tests.conftest import TINY
from tests.runs.samples import written_record
from tests.weights.networks import Tiny, loaded, same


def trained(config: RunConfig) -> Job:
    job = plan(config)
    assert train(job) is not None
    return job


def test_a_runs_checkpoint_starts_another_run(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    first = trained(tiny())
    checkpoint = RunFolder(first.folder).last_checkpoint
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    still = ("recipe.lr=1e-12", "recipe.epochs=1", "recipe.weight_decay=0", f"backbone.weights={checkpoint}")
    caplog.set_level("INFO", "attnbench")
    second = trained(tiny(*still))
    assert "weights are loaded" not in caplog.text
    after = torch.load(RunFolder(second.folder).last_checkpoint, weights_only=True)["state_dict"]
    weights_only = [name for name in state if name.endswith("weight")]
    assert all(torch.allclose(after[name], state[name], atol=1e-6) for name in weights_only)
    assert trained(tiny("attention=ggam", "attention.reduction=4", *still)).folder != second.folder
    assert "weights are loaded, but for the classifier" in caplog.text


def test_the_content_counts_and_not_the_path(tiny: Tiny) -> None:
    plain = plan(tiny()).identity
    net, other = build_model(tiny()), build_model(tiny())
    for name, content in (("a.pt", net), ("b.pt", net), ("c.pt", other)):
        torch.save(content.backbone.state_dict(), name)
    assert Path("a.pt").read_bytes() != Path("c.pt").read_bytes()
    Path("b.pt").write_bytes(Path("a.pt").read_bytes())
    a, b, c = (plan(tiny(f"backbone.weights={name}")).identity for name in ("a.pt", "b.pt", "c.pt"))
    assert a == b
    assert len({a, c, plain}) == 3
    digest = hashlib.sha256(Path("a.pt").read_bytes()).hexdigest()
    assert weights.identity_of(tiny("backbone.weights=a.pt"), net.backbone) == f"sha256:{digest}"


def test_an_interrupted_run_goes_on_from_its_checkpoint_and_not_from_the_file(tiny: Tiny) -> None:
    torch.save(build_model(tiny()).backbone.state_dict(), "weights.pt")
    whole = trained(tiny("backbone.weights=weights.pt"))
    expected = torch.load(RunFolder(whole.folder).last_checkpoint, weights_only=True)["state_dict"]
    torch.save({}, "weights.pt")  # what is read when a run starts is in its checkpoint
    run = RunFolder(whole.folder)
    write_json(run.record_file, {**written_record(run.path), "status": "interrupted"})
    train(whole)
    assert run.state() == "finished"
    again = torch.load(RunFolder(whole.folder).last_checkpoint, weights_only=True)["state_dict"]
    assert same(expected, again)


def test_a_run_is_evaluated_without_the_file(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(build_model(tiny()).backbone.state_dict(), "weights.pt")
    job = trained(tiny("backbone.weights=weights.pt"))
    Path("weights.pt").unlink()
    assert main(["evaluate", os.fspath(job.folder)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("backbone.weights=nowhere.pt",), "backbone.weights=nowhere.pt: no such file\n"),
        (("backbone.weights=default",), "backbone.weights=default: there are none"),
        (("backbone=torchvision/resnet18", "backbone.weights=nowhere.pt"), "nowhere.pt: no such file\n"),
        (
            ("attention=bam", "attention.reduction=2", "backbone.weights=."),
            "=.: is a folder; name a file of weights in it\n",
        ),
    ],
)
def test_missing_weights_are_one_line_and_status_2(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = TINY if len(words) == 1 or "attention=bam" in words else ("data=digits",)
    assert main(["train", *tiny, *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize("library", ["torchvision", pytest.param("timm", marks=pytest.mark.slow)])
def test_a_failed_download_is_one_line_and_status_2(library: str, own_folder: Path) -> None:
    nowhere = {"https_proxy": "http://127.0.0.1:9", "TORCH_HOME": str(own_folder), "HF_HOME": str(own_folder)}
    words = ("data=digits", f"backbone={library}/resnet18", "backbone.weights=default")
    result = subprocess.run(
        [sys.executable, "-m", "attnbench", "train", *words],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **nowhere, "HF_HUB_OFFLINE": "1"},
    )
    assert result.returncode == 2
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("attnbench: "))
    assert line.startswith("attnbench: backbone.weights=default: ")
    assert "cannot be had: " in line
    assert "Traceback" not in result.stderr
    assert not (own_folder / "outputs").exists()


def test_the_librarys_own_weights(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(own_folder))
    folder = own_folder / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    theirs = torchvision.models.resnet18().eval()
    torch.save(theirs.state_dict(), folder / "resnet18-f37072fd.pth")  # where a download would be kept
    net = Classifier(TorchvisionBackbone("resnet18", 10), Attention()).eval()
    left_out = loaded("default", net, "torchvision/resnet18")
    assert left_out == ["the classifier, which has 1000 classes there and 10 here"]
    assert torch.equal(net.backbone.state_dict()["net.layer4.1.conv2.weight"], theirs.layer4[1].conv2.weight)
    config = compose(["backbone=torchvision/resnet18", "backbone.weights=default"])
    assert weights.identity_of(config, net.backbone) == "ResNet18_Weights.IMAGENET1K_V1"
