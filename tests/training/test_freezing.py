"""Frozen parts: nothing in them moves, running statistics included; the rest trains."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.build import build_model, build_model_on_meta
from attnbench.classifier import Classifier
from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.errors import OptionError
from attnbench.runs.folder import RunFolder
from attnbench.training.freezing import freeze
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY


def net_of(*overrides: str) -> Classifier:
    return build_model_on_meta(compose(["data=cifar10", *overrides]))


CASES = {
    ("backbone=resnet20", "none"): (),
    ("backbone=resnet20", "stem"): ("backbone.stem.",),
    ("backbone=resnet20", "stage1"): ("backbone.stem.", "backbone.stage1."),
    ("backbone=resnet20", "stage2"): ("backbone.stem.", "backbone.stage1.", "backbone.stage2."),
    ("backbone=preact_resnet20", "stage1"): ("backbone.stem.", "backbone.stage1."),
    ("backbone=preact_resnet20", "backbone"): ("backbone.stem.", "backbone.stage", "backbone.bn."),
    ("backbone=densenet_bc", "stage1"): ("backbone.stem.", "backbone.stage1."),
    ("backbone=densenet_bc", "stage2"): tuple(f"backbone.{n}." for n in ("stem", "stage1", "transition1", "stage2")),
    ("backbone=mobilenet_v1", "stage1"): ("backbone.stem.", "backbone.stem_block.", "backbone.stage1."),
    ("backbone=cluttered_mnist_cnn", "stage2"): ("backbone.norm.", "backbone.stage1.", "backbone.stage2."),
    ("backbone=torchvision/resnet18", "stem"): ("backbone.net.conv1.", "backbone.net.bn1."),
    ("backbone=torchvision/resnet18", "stage1"): ("backbone.net.conv1.", "backbone.net.bn1.", "backbone.net.layer1."),
    ("backbone=timm/resnet18", "stage2"): (
        "backbone.net.conv1.",
        "backbone.net.bn1.",
        "backbone.net.layer1.",
        "backbone.net.layer2.",
    ),
    ("backbone=torchvision/resnet18", "backbone"): ("backbone.net.conv1.", "backbone.net.bn1.", "backbone.net.layer"),
    ("backbone=torchvision/convnext_tiny", "stage1"): ("backbone.net.features.0.", "backbone.net.features.1."),
    ("backbone=torchvision/swin_t", "backbone"): ("backbone.net.features.", "backbone.net.norm."),
    ("backbone=timm/convnext_atto", "stage1"): ("backbone.net.stem.", "backbone.net.stages.0."),
}


@pytest.mark.parametrize(("backbone", "until"), CASES, ids=str)
def test_all_up_to_the_stages_end_and_nothing_else(backbone: str, until: str) -> None:
    net = net_of(backbone, "attention=bam", "attention.reduction=2")
    norms = freeze(net, until)
    inserted = tuple(f"{path}." for path in net.inserted_paths)
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    expected = {
        name
        for name, _ in net.named_parameters()
        if name.startswith(CASES[backbone, until]) and not name.startswith(inserted)
    } if CASES[backbone, until] else set()  # fmt: skip
    assert frozen == expected
    held = {id(norm) for norm in norms}
    for name, module in net.named_modules():
        if isinstance(module, _BatchNorm):
            own = f"{name}."
            assert (id(module) in held) == any(parameter.startswith(own) for parameter in expected), name


@pytest.mark.parametrize("backbone", ["backbone=resnet20", "backbone=torchvision/convnext_tiny"])
def test_a_part_that_is_not_there(backbone: str) -> None:
    net = net_of(backbone)
    with pytest.raises(OptionError, match="must be one of none, backbone, " + ", ".join(net.backbone.parts)):
        freeze(net, "stage9")
    assert ("stem" in net.backbone.parts) == (backbone == "backbone=resnet20")


def test_a_part_that_is_not_there_is_reported_before_a_run_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *TINY, "recipe.freeze=stage9"]) == 2
    assert capsys.readouterr().err == (
        "attnbench: recipe.freeze=stage9: must be one of none, backbone, stem, stage1, stage2, stage3\n"
    )


SMALL = ("data=cluttered_digits", "data.train_images=96", "data.validation=32", "data.test_images=32",
         "data.batch_size=16", "recipe.epochs=2", "trainer.threads=1")  # fmt: skip


def trained(config: RunConfig) -> dict[str, Tensor]:
    """A run's state after training."""
    job = plan(config)
    assert train(job) is not None
    after: dict[str, Tensor] = torch.load(RunFolder(job.folder).last_checkpoint, weights_only=True)["state_dict"]
    return after


@pytest.mark.parametrize(
    "overrides",
    [
        ("attention=bam", "attention.reduction=2", "recipe.freeze=stage2"),
        ("attention=ggam", "attention.reduction=2", "recipe.freeze=backbone"),
        ("recipe.freeze=backbone", "recipe.backbone_lr_factor=0.1", "recipe.optimizer=adamw"),
        ("backbone=wrn10_1", "backbone.stem_width=4", "attention=gated", "attention.width=2", "recipe.freeze=stem"),
    ],
    ids=" ".join,
)
def test_what_is_frozen_is_after_training_what_it_was(overrides: tuple[str, ...]) -> None:
    resnet = ("backbone.depth=8", "backbone.width=4")
    words = [*SMALL, *(() if overrides[0].startswith("backbone=") else resnet), *overrides]
    torch.save(build_model(compose(words)).backbone.state_dict(), "weights.pt")
    start = torch.load("weights.pt", weights_only=True)
    config = compose([*words, "backbone.weights=weights.pt"])
    after = trained(config)
    net = build_model(config)
    until = config["recipe"]["freeze"]
    freeze(net, until)
    frozen = {name for name, parameter in net.named_parameters() if not parameter.requires_grad}
    layers = {name.rpartition(".")[0] for name in frozen}
    assert frozen
    moved = []
    for name, value in start.items():
        same = torch.equal(after[f"net.backbone.{name}"], value)
        if f"backbone.{name}".rpartition(".")[0] in layers:
            assert same, name  # running statistics and their counts among them
        elif not same:
            moved.append(name)
    heads = [name for name in after if name.startswith("net.attention.head")]
    assert moved or heads


def test_a_frozen_network_of_a_library_trains_its_head() -> None:
    config = compose([*SMALL, "backbone=torchvision/mnasnet0_5", "recipe.freeze=backbone"])
    after = trained(config)
    counts = [int(value) for name, value in after.items() if name.endswith("num_batches_tracked")]
    assert counts
    assert not any(counts)


def test_frozen_norms_are_not_in_training_mode_while_others_are() -> None:
    net = net_of("backbone=resnet20", "attention=bam", "attention.reduction=2")
    norms = freeze(net, "stage1")
    assert all(isinstance(norm, nn.BatchNorm2d) for norm in norms)
    assert len(norms) == 1 + 3 * 2
