"""Rows of metrics: appended one an epoch, cut off by a crash at most in the last line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.runs.epoch_rows import EpochRow, append_row, read_rows, write_rows
from attnbench.runs.files import parse_object, to_text
from attnbench.runs.json_objects import read_object
from attnbench.runs.metric_names import TRAIN_LOSS, TRAIN_SECONDS
from tests.runs.samples import make_row

numbers = st.floats(0, 1)
names = st.sampled_from(["val/top1_accuracy", "train/loss/guide", "gates/stage1.out/mean", "lr", "images_per_second"])


@given(
    st.integers(1),
    numbers,
    numbers,
    st.dictionaries(names, st.none() | numbers),
    st.dictionaries(st.just("new"), names),
)
def test_a_row_comes_back_as_it_was_written(
    images: int, loss: float, seconds: float, others: dict[str, float | None], unknown: dict[str, str]
) -> None:
    metrics = {TRAIN_LOSS: loss, TRAIN_SECONDS: seconds, **others}
    row = EpochRow(epoch=1, images=images, metrics=metrics, unknown=unknown)
    assert read_object(EpochRow, parse_object(to_text(row.to_json()), "x"), "x") == row


def test_rows_are_appended_and_replaced(own_folder: Path) -> None:
    path, rows = own_folder / "metrics.jsonl", [make_row(1, 0.5), make_row(2), make_row(3, 0.7)]
    assert read_rows(path) == []
    for row in rows:
        append_row(path, row)
    assert read_rows(path) == rows
    write_rows(path, rows[:2])
    assert read_rows(path) == rows[:2]


def test_a_line_that_a_crash_cut_off_is_ignored(own_folder: Path) -> None:
    path = own_folder / "metrics.jsonl"
    write_rows(path, [make_row(1), make_row(2)])
    whole = path.read_text()
    for end in range(len(whole)):
        path.write_text(whole[:end])
        assert len(read_rows(path)) == whole[:end].count("\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"epoch": 2, "ima', "it is no JSON ("),
        (b"", "it is empty"),
        (b"[2]", "it is no JSON object"),
        (b'{"epoch": 2}', "images is missing"),
        (b'{"epoch": 2, "images": 9, "train/loss": 1, "train/seconds": null}', "train/seconds is missing"),
        (b'{"epoch": 2, "images": 9, "train/loss": "1", "train/seconds": 1}', 'train/loss must be a finite number'),
        (b'{"epoch": 4, "images": 9, "train/loss": 1, "train/seconds": 1}', "epoch must be 2, and is 4"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)  # fmt: skip
def test_a_damaged_line_is_named(line: bytes, reason: str, own_folder: Path) -> None:
    path = own_folder / "metrics.jsonl"
    first, _, third = (to_text(make_row(epoch).to_json()).encode() for epoch in (1, 2, 3))
    path.write_bytes(b"\n".join([first, line, third, b""]))
    with pytest.raises(UserError) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"metrics.jsonl, line 2: damaged: {reason}")
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_text_are_one_line(own_folder: Path) -> None:
    path = own_folder / "metrics.jsonl"
    path.write_bytes(b"\xff\n")
    with pytest.raises(UserError, match=r"^metrics\.jsonl: damaged: it is not text in UTF-8"):
        read_rows(path)
