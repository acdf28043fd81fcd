"""Weights from files and libraries: they reach the network, and what does not fit is told before a run begins."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from attnbench.attention.bam import BAM
from attnbench.attention.base import Attention
from attnbench.attention.ggam import GGAM
from attnbench.backbones.adapters.torchvision import TorchvisionBackbone
from attnbench.backbones.base import Backbone
from attnbench.backbones.resnet import ResNet
from attnbench.backbones.resnext import ResNeXt
from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.config.search_path import choices, search_path
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import write_json
from attnbench.runs.folder import Job, RunFolder
from attnbench.training.evaluate import misfit
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.weights import load as weights
from tests.conftest import TINY
from tests.runs.samples import written_record

Tiny = Callable[..., RunConfig]
State = Mapping[str, Tensor]


def resnet20(classes: int = 10, attention: Attention | None = None) -> Classifier:
    return Classifier(ResNet(20, classes, width=4), attention or Attention())


def loaded(source: str | Path, net: Classifier, backbone: str = "resnet20") -> list[str]:
    return weights.load(compose([f"backbone={backbone}", f"backbone.weights={source}"]), net.backbone)


def same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


WRITTEN: dict[str, Callable[[Classifier], Any]] = {
    "backbone": lambda net: net.backbone.state_dict(),
    "classifier": lambda net: net.state_dict(),
    "checkpoint": lambda net: {"epoch": 3, "state_dict": {f"net.{k}": v for k, v in net.state_dict().items()}},
    "model": lambda net: {"model": {"state_dict": net.backbone.state_dict()}},
    "torch's example of ImageNet": lambda net: {
        "epoch": 3,
        "state_dict": {f"module.{name}": value for name, value in net.backbone.state_dict().items()},
        "best_acc1": torch.tensor(76.1),
    },
    "net": lambda net: {"net": net.backbone.state_dict(), "acc": 95.0},
    "parallel": lambda net: {f"module.{name}": value for name, value in net.backbone.state_dict().items()},
    "compiled": lambda net: {f"module._orig_mod.{name}": value for name, value in net.state_dict().items()},
}


SMALL = (
    "backbone=resnet20 backbone.width=4", "backbone=preact_resnet20 backbone.width=4", "backbone=wrn10_1",
    "backbone=resnext11_2x4d backbone.width=8", "backbone=densenet_bc22_8",
    "backbone=wide_resnet18_1.5 backbone.width=8", "backbone=densenet121 backbone.growth=4",
    "backbone=mobilenet_v1 backbone.alpha=0.1", "backbone=squeezenet1_1 backbone.width=16",
    "backbone=vgg16 backbone.width=4", "backbone=vgg16_bn backbone.width=4",
    "backbone=inception_resnet backbone.width=8", "backbone=cluttered_mnist_cnn backbone.width=4 data.canvas=40",
)  # fmt: skip
"""Every backbone of ours, small."""


@pytest.mark.parametrize("words", SMALL)
def test_every_backbone_of_ours_takes_a_file(words: str) -> None:
    torch.manual_seed(1)
    overrides = [*words.split(), "data=cluttered_digits"]
    net = build_model(compose(overrides))
    torch.save(net.backbone.state_dict(), "weights.pt")
    config = compose([*overrides, "backbone.weights=weights.pt", "attention=none"])
    other = build_model(config)
    assert not same(net.state_dict(), other.state_dict())
    assert weights.load(config, other.backbone) == []
    assert same(net.state_dict(), other.state_dict())


def test_small_ones_are_all() -> None:
    """Choices of libraries aside, every file of the group is a choice above, or a depth of one of them."""
    families = {choice.rstrip("0123456789") for choice in choices("backbone", search_path())}
    named = {
        compose([words.split()[0], "data=cluttered_digits"]).choices["backbone"].rstrip("0123456789") for words in SMALL
    }
    assert families - named == {"timm", "torchvision"}


@pytest.mark.parametrize("written", WRITTEN)
def test_a_state_dict_is_found_in_whatever_it_is_wrapped(written: str) -> None:
    net, other = resnet20(), resnet20()
    torch.save(WRITTEN[written](net), "weights.pt")
    assert loaded("weights.pt", other) == []
    assert same(net.state_dict(), other.state_dict())


@pytest.mark.smoke
def test_safetensors() -> None:
    net, other = resnet20(), resnet20()
    save_file(dict(net.backbone.state_dict()), "weights.safetensors")
    assert loaded("weights.safetensors", other) == []
    assert same(net.state_dict(), other.state_dict())


def test_torchvisions_files_load_into_our_networks() -> None:
    theirs = torchvision.models.resnet18(num_classes=10).eval()
    resnext = torchvision.models.resnext50_32x4d(num_classes=10).eval()
    pairs: list[tuple[nn.Module, Backbone, str]] = [
        (theirs, ResNet(18, 10, image_size=224), "resnet18"),
        (resnext, ResNeXt(50, 32, 4, 10, image_size=224), "resnext50_32x4d"),
        (theirs, TorchvisionBackbone("resnet18", 10), "torchvision/resnet18"),
    ]
    images = torch.randn(2, 3, 64, 64)
    for own, backbone, name in pairs:
        torch.save(own.state_dict(), "weights.pth")
        net = Classifier(backbone, Attention()).eval()
        assert loaded("weights.pth", net, name) == []
        with torch.no_grad():
            assert torch.allclose(net(images), own(images), atol=1e-5)


@pytest.mark.smoke
def test_other_classes_are_left_out_and_nothing_else_is() -> None:
    net, other = resnet20(100), resnet20(10)
    torch.save(net.backbone.state_dict(), "weights.pt")
    before = other.backbone.classifier.state_dict()
    assert loaded("weights.pt", other) == ["the classifier, which has 100 classes there and 10 here"]
    assert same(before, other.backbone.classifier.state_dict())
    body, expected = (
        {name: value for name, value in one.backbone.state_dict().items() if "classifier" not in name}
        for one in (other, net)
    )
    assert same(body, expected)


def test_of_a_head_of_several_layers_only_the_last_is_left_out() -> None:
    name = "mobilenet_v3_small"
    net, other = TorchvisionBackbone(name, 7, 3, 32), Classifier(TorchvisionBackbone(name, 5, 3, 32), Attention())
    nn.init.normal_(net.get_parameter("net.classifier.0.bias"))
    torch.save(net.net.state_dict(), "weights.pt")
    left_out = loaded("weights.pt", other, f"torchvision/{name}")
    assert left_out == ["the classifier, which has 7 classes there and 5 here"]
    assert torch.equal(other.backbone.state_dict()["net.classifier.0.bias"], net.state_dict()["net.classifier.0.bias"])


def test_what_attention_adds_and_removes() -> None:
    refined, plain = resnet20(attention=BAM(reduction=2)), resnet20()
    torch.save(plain.backbone.state_dict(), "plain.pt")
    torch.save(refined.state_dict(), "refined.pt")
    fresh = resnet20(attention=BAM(reduction=2))
    inserted = fresh.backbone.state_dict()["stage1.out.bam.channel.reduce.weight"].clone()
    assert loaded("plain.pt", fresh) == []
    assert torch.equal(fresh.backbone.state_dict()["stage1.out.bam.channel.reduce.weight"], inserted)
    assert loaded("refined.pt", fresh) == []
    assert same(fresh.backbone.state_dict(), refined.backbone.state_dict())
    assert loaded("refined.pt", plain) == ["what an attention inserted"]
    headless = resnet20(attention=GGAM(reduction=4))
    assert loaded("plain.pt", headless) == ["the classifier, which this network does not have"]
    torch.save(headless.state_dict(), "headless.pt")
    assert loaded("headless.pt", resnet20()) == ["the classifier, which they lack"]


def test_auxiliary_heads_are_left_out() -> None:
    theirs = torchvision.models.googlenet(num_classes=10, aux_logits=True, init_weights=False)
    torch.save(theirs.state_dict(), "weights.pt")
    net = Classifier(TorchvisionBackbone("googlenet", 10, 3, 64), Attention())
    assert loaded("weights.pt", net, "torchvision/googlenet") == ["auxiliary heads"]
    assert torch.equal(net.backbone.state_dict()["net.conv1.conv.weight"], theirs.conv1.conv.weight)


@pytest.mark.parametrize("name", ["mnasnet0_5", "densenet121"])
def test_networks_whose_state_dicts_have_a_history(name: str) -> None:
    theirs = torchvision.models.get_model(name, num_classes=10).eval()
    bare = dict(theirs.state_dict())  # without the versions of modules
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): value for key, value in bare.items()}
    torch.save(old if name == "densenet121" else bare, "weights.pt")
    net = Classifier(TorchvisionBackbone(name, 10, 3, 64), Attention()).eval()
    assert loaded("weights.pt", net, f"torchvision/{name}") == []
    images = torch.randn(2, 3, 64, 64)
    assert torch.allclose(net(images), theirs(images), atol=1e-5)


def mistaken(state: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    changed = {key: tensor for key, tensor in state.items() if key != name}
    return changed if value is None else {**changed, name: value}


FAULTS: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "missing": (
        lambda state: mistaken(state, "stage1.block0.conv1.weight", None),
        "they do not fit: 1 not in the weights (stage1.block0.conv1.weight)",
    ),
    "shape": (
        lambda state: mistaken(state, "stem.0.weight", torch.zeros(4, 1, 3, 3)),
        "they do not fit: 1 of another shape (stem.0.weight is 4x1x3x3 there and 4x3x3x3 here)",
    ),
    "unexpected": (lambda state: mistaken(state, "more.weight", torch.zeros(1)), "only in the weights (more.weight)"),
    "another network": (
        lambda state: torchvision.models.squeezenet1_1().state_dict(),
        "not in the weights (stem.0.weight, stem.1.weight, …)",
    ),
    "no tensors": (lambda state: {"epoch": 3}, "holds no state dict"),
    "not a mapping": (lambda state: [1, 2], "holds no state dict"),
    "an empty state dict": (lambda state: {"state_dict": {}}, "holds no state dict"),
    "sparse": (
        lambda state: mistaken(state, "classifier.weight", state["classifier.weight"].to_sparse()),
        "holds tensors that are sparse or without values (classifier.weight)",
    ),
    "no values": (
        lambda state: {name: value.to("meta") for name, value in state.items()},
        "holds tensors that are sparse or without values (stem.0.weight, stem.1.weight, …)",
    ),
    "a whole module": (lambda state: nn.Linear(1, 1), "cannot be read as weights (UnpicklingError)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_fit_is_told(fault: str) -> None:
    spoil, told = FAULTS[fault]
    torch.save(spoil(dict(resnet20().backbone.state_dict())), "weights.pt")
    with pytest.raises(UserError) as caught:
        loaded("weights.pt", resnet20())
    assert str(caught.value).startswith("backbone.weights=weights.pt: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text.pt", "empty.pt", "text.safetensors"])
def test_a_file_of_something_else(name: str) -> None:
    Path(name).write_text("" if name == "empty.pt" else "hello")
    with pytest.raises(UserError, match="cannot be read"):
        loaded(name, resnet20())


def test_a_damaged_file_is_one_line() -> None:
    """One byte after another of the pickle within is changed, in 400 files: none of them ends in a traceback."""
    net, config = resnet20(), compose(["backbone=resnet20", "backbone.weights=weights.pt"])
    torch.save(net.backbone.state_dict(), "whole.pt", _use_new_zipfile_serialization=False)
    content, rejected = Path("whole.pt").read_bytes(), 0
    start = content.index(b"stem.0.weight")
    for place in range(start, start + 400):
        Path("weights.pt").write_bytes(content[:place] + bytes([content[place] ^ 32]) + content[place + 1 :])
        try:
            weights.load(config, net.backbone)
        except UserError as error:
            assert "\n" not in str(error)
            rejected += 1
    assert rejected > 100


def test_a_folder_is_no_file() -> None:
    Path("run").mkdir()
    with pytest.raises(UserError, match=r"^backbone\.weights=run: is a folder; name a file of weights in it$"):
        loaded("run", resnet20())


# runs


def trained(config: RunConfig) -> Job:
    job = plan(config)
    assert train(job) is not None
    return job


def test_a_runs_checkpoint_starts_another_run(tiny: Tiny, capsys: pytest.CaptureFixture[str]) -> None:
    first = trained(tiny())
    checkpoint = RunFolder(first.folder).last_checkpoint
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    still = ("recipe.lr=1e-12", "recipe.epochs=1", "recipe.weight_decay=0", f"backbone.weights={checkpoint}")
    capsys.readouterr()
    second = trained(tiny(*still))
    assert "weights are loaded" not in capsys.readouterr().out
    after = torch.load(RunFolder(second.folder).last_checkpoint, weights_only=True)["state_dict"]
    weights_only = [name for name in state if name.endswith("weight")]
    assert all(torch.allclose(after[name], state[name], atol=1e-6) for name in weights_only)
    assert trained(tiny("attention=ggam", "attention.reduction=4", *still)).folder != second.folder
    assert "weights are loaded, but for the classifier" in capsys.readouterr().out


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
    ("words", "told"),
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
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = TINY if len(words) == 1 or "attention=bam" in words else ("data=digits",)
    assert main(["train", *tiny, *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not Path("outputs").exists()


@pytest.mark.parametrize("library", ["torchvision", "timm"])
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


def test_weights_trained_on_other_ranges_get_them() -> None:
    for chosen, expected in (("default", True), ("null", False)):
        words = ["backbone=torchvision/googlenet", f"backbone.weights={chosen}", "data=cifar10"]
        net: Any = build_model(compose(words)).backbone.get_submodule("net")
        assert net.transform_input is expected


def test_misfits_of_checkpoints_are_told_in_the_same_words() -> None:
    net = resnet20()
    state = mistaken(dict(net.state_dict()), "backbone.stem.0.weight", torch.zeros(4, 1, 3, 3))
    told = "1 of another shape (backbone.stem.0.weight is 4x1x3x3 in the checkpoint and 4x3x3x3 here)"
    assert misfit(state, net) == told
