"""Networks are measured in turns; where memory does not suffice, with half the batch."""

import pytest
import torch

from attnbench.config.compose import compose
from attnbench.training import measure as measuring
from attnbench.training.experiment import Experiment
from attnbench.training.failures import TrainingError
from attnbench.training.malloc import MemoryMeter
from attnbench.training.measure import layer_seconds, measure
from attnbench.training.speed_probe import Probe

SMALL = ["backbone.depth=8", "backbone.width=4", "trainer.threads=1"]


def experiment(*overrides: str) -> Experiment:
    return Experiment(compose([*SMALL, *overrides]))


class ScarceProbe(Probe):
    """A probe on a machine that holds two images."""

    def __init__(self, experiment: Experiment, batch: int) -> None:
        if batch > 2:
            raise MemoryError(f"cannot hold {batch} images")
        super().__init__(experiment, batch)


def test_each_network_is_measured_in_every_turn() -> None:
    plain, bam = measure([experiment(), experiment("attention=bam", "attention.reduction=2")], batch=4, turns=3)
    for found in (plain, bam):
        assert found.batch == 4
        assert len(found.forward_seconds) == len(found.training_seconds) == 3
        assert min(found.forward_seconds + found.training_seconds) > 0
        assert found.images_per_second == [4 / seconds for seconds in found.training_seconds]


def test_out_of_memory_halves_the_batch_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(measuring, "Probe", ScarceProbe)
    found = measure([experiment()], batch=8, turns=1)
    assert found[0].batch == 2
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory with batches of 8 images: measured with 4",
        "out of memory with batches of 4 images: measured with 2",
    ]


def test_a_network_of_which_no_image_fits_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_fits(experiment: Experiment, batch: int) -> Probe:
        raise MemoryError

    monkeypatch.setattr(measuring, "Probe", none_fits)
    with pytest.raises(TrainingError, match=r"out of memory with data.batch_size=1: a smaller network needs less"):
        measure([experiment()], batch=1, turns=1)


def test_other_errors_are_not_taken_for_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(experiment: Experiment, batch: int) -> Probe:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(measuring, "Probe", broken)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        measure([experiment()], batch=8, turns=1)


def test_times_of_layers_exclude_those_of_the_layers_inside() -> None:
    probe = Probe(experiment(), batch=4)
    found = layer_seconds(probe, turns=2)
    assert {len(values) for values in found.values()} == {2}
    assert set(found) == {path for path, _ in probe.net.named_modules() if path in found}
    assert min(min(values) for values in found.values()) >= 0
    assert "backbone.stage1.block0.conv1" in found


def test_a_network_is_built_for_the_size_that_is_asked_for() -> None:
    own, larger = experiment("backbone.stem=cifar"), Experiment(compose([*SMALL, "backbone.stem=cifar"]), image_size=48)
    assert (own.image_size, larger.image_size) == (24, 48)
    assert larger.cost.multiply_adds == 4 * (own.cost.multiply_adds - 16 * 10) + 16 * 10
    assert Probe(larger, batch=1).images.shape == (1, 1, 48, 48)


def test_memory_is_the_peak_since_the_meter_was_made() -> None:
    bytes_of_first = 2**26
    large = torch.ones(bytes_of_first // 4)
    del large
    meter = MemoryMeter(on_gpu=False)
    if meter.peak_bytes() is None:
        pytest.skip("this system does not report it")
    smaller = torch.ones(2**23 + 2**21)  # by 8 MiB more than is asked: Linux's counts of pages lag behind by some
    assert 2**25 <= (meter.peak_bytes() or 0) < bytes_of_first
    del smaller
    assert (meter.peak_bytes() or 0) >= 2**25, "memory that was freed again counts"
