"""Networks from safetensors files, without the run."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from attnbench.errors import UserError
from attnbench.export.card import make_card
from attnbench.export.codecs import Safetensors
from attnbench.export.network import PixelClassifier
from attnbench.export.rebuild import load_safetensors
from attnbench.training.trained_run import TrainedRun


def test_a_file_is_enough(bam_run: TrainedRun, own_folder: Path) -> None:
    network = PixelClassifier(bam_run.model, bam_run.data.mean, bam_run.data.std, maps=True).eval()
    path = own_folder / "net.safetensors"
    path.write_bytes(Safetensors().encode(network, None, make_card(bam_run, network)))
    pixels = network.draw(2, 8, 8)
    with torch.no_grad():
        found, expected = load_safetensors(path)(pixels), network(pixels)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], values) for name, values in expected.items())


def test_foreign_code_is_called_only_on_request(bam_run: TrainedRun, own_folder: Path) -> None:
    card = make_card(bam_run, PixelClassifier(bam_run.model, (0.5,), (0.5,)))
    card["config"]["attention"]["_target_"] = "os.abort"
    path = own_folder / "net.safetensors"
    path.write_bytes(save({}, metadata={"attnbench": json.dumps(card)}))
    with pytest.raises(UserError, match=r"names code that is not attnbench's \(os.abort\)"):
        load_safetensors(path)


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"12345678{", save({"a": torch.zeros(1)})])
def test_other_files_are_one_line(content: bytes, own_folder: Path) -> None:
    path = own_folder / "net.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is no safetensors file of attnbench export"):
        load_safetensors(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_safetensors(own_folder / "other.safetensors")
