"""The model card: numbers, terms, versions, and nothing that tells of the machine."""

import json
import math
import socket
from pathlib import Path

import pytest

from attnbench.export.card import make_card, without_places
from attnbench.export.card_markdown import to_markdown
from attnbench.export.network import PixelClassifier
from attnbench.training.trained_run import TrainedRun


@pytest.fixture
def card(bam_run: TrainedRun) -> dict[str, object]:
    return make_card(bam_run, PixelClassifier(bam_run.model, bam_run.data.mean, bam_run.data.std))


def test_accuracy_has_n_and_wilsons_interval(bam_run: TrainedRun) -> None:
    found = make_card(bam_run, PixelClassifier(bam_run.model, (0.5,), (0.5,)))["metrics"]
    p, n, z = bam_run.record.metrics["test/top1_accuracy"], bam_run.record.data.test_images, 1.959963984540054
    assert p is not None and n is not None
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    one = found["top1_accuracy"]
    assert (one["value"], one["n"]) == (p, n)
    assert (one["interval"]["low"], one["interval"]["high"]) == pytest.approx((middle - half, middle + half))
    over = found["top1_accuracy_over_seeds"]
    assert over["n"] == 2
    assert over["interval"]["low"] <= over["value"] <= over["interval"]["high"]


def test_a_card_names_no_path_and_no_host(card: dict[str, object], bam_folder: Path) -> None:
    text = json.dumps(card) + to_markdown(card, "net.safetensors")
    assert str(bam_folder.parents[2]) not in text
    assert socket.gethostname() not in text
    assert '"root"' not in text


def test_places_are_left_out_of_options() -> None:
    data = {
        "root": "data", "size": 20, "name": "hub:org/net", "sub": {"file": "/tmp/x"}, "image": "~/x.png",
        "folder": "C:\\x", "labels": "mine/labels.csv", "rest": "hub:org/net",
    }  # fmt: skip
    assert without_places("data", data) == {"size": 20, "name": "hub:org/net", "sub": {}}
    assert without_places("backbone", {"weights": "nets/a.pt", "depth": 20}) == {"weights": "file", "depth": 20}
    for weights in ("default", None):
        assert without_places("backbone", {"weights": weights}) == {"weights": weights}


def test_an_attentions_own_options_are_kept_whatever_their_names() -> None:
    own = {"root": 2, "output": "sum", "weights": "softmax", "rule": "1/16", "sub": {"weights": [0.5, 1.0]}}
    assert without_places("attention", own) == own
    places = {"file": "/tmp/x", "list": "../x", "home": "~/x"}
    assert without_places("attention", places) == {}


def test_markdown_says_what_a_reader_asks(card: dict[str, object], bam_run: TrainedRun) -> None:
    text = to_markdown(card, "net.safetensors")
    assert 'load_safetensors("net.safetensors")' in text
    assert f"Terms of the data: {bam_run.data.terms or 'not stated'}." in text
    assert "| test top1 accuracy |" in text
    assert "(Wilson)" in text
    assert "uint8 (B, 1, 8, 8)" in text
    assert bam_run.record.environment.attnbench in text
