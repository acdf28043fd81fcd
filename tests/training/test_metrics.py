"""Counting on the device against torchmetrics."""

import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy

from attnbench.training.metrics import Meter, Step

CPU = torch.device("cpu")


def test_hits_and_losses() -> None:
    torch.manual_seed(0)
    sizes, classes = (6, 6, 3), 9
    batches = [(torch.randn(size, classes), torch.randint(classes, (size,))) for size in sizes]
    meter = Meter(CPU, len(sizes), classes)
    steps = [Step({"a": logits.mean(), "b": logits.std()}, logits, labels) for logits, labels in batches]
    meter.add(0, steps[:2])
    meter.add(2, steps[2:])
    found = meter.read()
    logits, labels = (torch.cat(parts) for parts in zip(*batches, strict=True))
    for name, top in (("top1_accuracy", 1), ("top5_accuracy", 5)):
        expected = multiclass_accuracy(logits, labels, classes, top_k=top, average="micro").item()
        assert found[name] == pytest.approx(expected)
    assert found["images"] == 15
    assert found["loss/a"] == pytest.approx(logits.mean().item(), abs=1e-6)
    assert found["loss"] == pytest.approx(found["loss/a"] + found["loss/b"])


def test_top_five_means_nothing_below_six_classes() -> None:
    meter = Meter(CPU, 1, 5)
    meter.add(0, [Step({"a": torch.tensor(1.0)}, torch.eye(5)[:2], torch.tensor([0, 3]))])
    found = meter.read()
    assert found["top1_accuracy"] == 0.5
    assert found["top5_accuracy"] is None
    assert "loss/a" not in found


def test_the_result_does_not_depend_on_the_grouping() -> None:
    torch.manual_seed(1)
    batches = [(torch.randn(4, 7), torch.randint(7, (4,))) for _ in range(6)]

    def read(group: int) -> dict[str, object]:
        meter = Meter(CPU, 6, 7)
        for start in range(0, 6, group):
            part = batches[start : start + group]
            meter.add(start, [Step({"a": logits.mean() / 3}, logits, labels) for logits, labels in part])
        return meter.read()

    assert read(1) == read(2) == read(6)
