"""A job travels as a file; a damaged file is one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnbench.cli.worker import work
from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.folder import Job
from attnbench.training.plan import plan

JOB: dict[str, Any] = {
    "config": {"values": {"seed": 0}, "choices": {"data": "digits"}, "identity": {}},
    "identity": "0123456789",
    "folder": "/somewhere",
}


def test_a_job_travels_as_a_file(tiny: Callable[..., RunConfig], own_folder: Path) -> None:
    job = plan(tiny("attention=bam", "attention.reduction=2", "seed=4"))
    job.save(own_folder / "job.json")
    assert Job.load(own_folder / "job.json") == job
    assert job.folder == own_folder / "outputs" / "runs" / f"digits-resnet20-bam-{job.identity}" / "seed4"


def test_a_job_file_that_is_not_there(own_folder: Path) -> None:
    with pytest.raises(UserError, match=r"^job\.json: there is no such file"):
        Job.load(own_folder / "job.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"{", "it is no JSON ("),
        (b"\xff", "it is not text in UTF-8"),
        (b"7", "it is no JSON object"),
        (b"{}", "config is missing"),
        (json.dumps({**JOB, "folder": 3}).encode(), "folder must be text, and is 3"),
        (json.dumps({**JOB, "config": {}}).encode(), "config.values is missing"),
        (
            json.dumps({**JOB, "config": {**JOB["config"], "choices": {"data": 1}}}).encode(),
            "config.choices.data must be",
        ),
        (json.dumps({**JOB, "config": {**JOB["config"], "values": {}}}).encode(), "config.values.seed must be a whole"),
    ],
)
def test_a_damaged_file_is_one_line(
    content: bytes, reason: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_folder / "job.json"
    path.write_bytes(content)
    assert work(path) == 2
    error = capsys.readouterr().err
    assert f"job.json: damaged: {reason}" in error
    assert error.count("\n") == 1
