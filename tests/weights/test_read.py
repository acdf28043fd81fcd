"""State dicts in files: formats, wrappers, damage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.errors import UserError
from attnbench.weights import load as weights
from tests.weights.networks import loaded, resnet20, same

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
