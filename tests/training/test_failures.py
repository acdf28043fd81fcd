"""Failures of a machine's memory, and batches that a network cannot take: one line each."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.runs.disk import WriteError
from attnbench.runs.folder import Job, find_runs
from attnbench.training.failures import TrainingError, explain, memory_for, memory_line, out_of_memory
from tests.conftest import TINY

ONE_IMAGE = ("data=cluttered_digits", "data.train_images=1", "data.validation=0", "data.test_images=10")


@contextmanager
def little_memory(more: int) -> Iterator[None]:
    """Let the system give this process only so many further bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + more, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def error_of(bytes_wanted: int, make: object) -> BaseException:
    with pytest.raises((MemoryError, RuntimeError)) as caught, little_memory(2**28):
        make(bytes_wanted)  # type: ignore[operator]
    return caught.value


@pytest.mark.smoke
@pytest.mark.parametrize("make", [lambda size: torch.empty(size, dtype=torch.uint8), bytearray, np.empty])
def test_no_memory_is_recognised_whoever_asks_for_it(make: object) -> None:
    assert out_of_memory(error_of(2**40, make))


def test_other_errors_are_not_taken_for_it() -> None:
    assert out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    for error in (RuntimeError("shapes differ"), OSError(errno.ENOSPC, "full"), ValueError("out of memory")):
        assert not out_of_memory(error)


def test_the_line_names_the_batch_size_and_what_needs_less() -> None:
    said = memory_line(error_of(2**40, lambda size: torch.empty(size, dtype=torch.uint8)), 128)
    assert said.startswith("out of memory with data.batch_size=128: data.batch_size=64 needs about half as much (")
    assert "you tried to allocate 1099511627776 bytes" in said
    assert "\n" not in said
    assert memory_line(MemoryError(), 1) == "out of memory with data.batch_size=1: a smaller network needs less"


def test_a_network_that_does_not_fit_says_so() -> None:
    network = torch.nn.Linear(1000, 1000, device="meta")
    with pytest.raises(TrainingError, match=r"for the network's 1 M parameters: a smaller"), memory_for(network):
        raise MemoryError
    with pytest.raises(RuntimeError, match="shapes"), memory_for(network):
        raise RuntimeError("shapes differ")


def test_only_known_failures_are_explained(own_folder: Path) -> None:
    job = Job(compose(TINY), "0123456789", own_folder)
    assert explain(WriteError("full"), job) == explain(TrainingError("full"), job) == "full"
    assert explain(MemoryError(), job) == (
        "out of memory with data.batch_size=128: data.batch_size=64 needs about half as much"
    )
    assert explain(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x"), job).startswith("/tmp/x: cannot be")  # type: ignore[union-attr]
    assert explain(OSError(errno.ENOENT, "gone"), job) is explain(ValueError("no"), job) is None


def trained(*overrides: str) -> int:
    return main(["train", *TINY, "recipe.epochs=1", "logger=none", *overrides])


def test_a_batch_of_one_image_is_one_line_where_a_network_cannot_take_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in TINY if "width" not in word]
    network = ("backbone=densenet_bc", "backbone.stem=imagenet")
    assert main(["train", *words, *ONE_IMAGE, *network, "recipe.epochs=1", "logger=none"]) == 1
    error = capsys.readouterr().err
    assert error == (
        "attnbench: data.batch_size=128: a batch of one image: this network's batch normalisation needs at least two\n"
    )
    (run,) = find_runs(Path("outputs"))
    assert run.state() == "failed"


def test_a_batch_may_be_larger_than_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    for size in (1237, 5000, 10**12):
        assert trained(f"data.batch_size={size}") == 0
    accuracies = {run.record().metrics["test/loss"] for run in find_runs(Path("outputs"))}  # type: ignore[union-attr]
    assert len(accuracies) == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("size", [1236, 618])
def test_a_last_batch_of_one_image_is_left_out(size: int) -> None:
    assert trained(f"data.batch_size={size}") == 0
    (run,) = find_runs(Path("outputs"))
    assert run.rows()[0].images == 1236


def test_one_image_trains(capsys: pytest.CaptureFixture[str]) -> None:
    assert trained(*ONE_IMAGE) == 0
    assert capsys.readouterr().err == ""
