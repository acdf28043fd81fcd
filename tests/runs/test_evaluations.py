"""Results of evaluations beside a run, and the mistakes in their file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.config.compose import Composer, compose
from attnbench.errors import UserError
from attnbench.runs.evaluation_entry import EvaluationEntry
from attnbench.runs.evaluations import SaveError, keep, read_evaluations, settle
from attnbench.runs.folder import RunFolder
from attnbench.runs.json_objects import read_object
from attnbench.runs.predictions import read_predictions, write_predictions
from tests.conftest import TINY
from tests.runs.samples import entry_json, make_entry, make_finished, make_predictions, make_record


@pytest.fixture
def run(own_folder: Path) -> RunFolder:
    """A finished run with its last checkpoint."""
    run, config = RunFolder(own_folder / "seed0"), compose(TINY)
    run.last_checkpoint.parent.mkdir(parents=True)
    run.last_checkpoint.touch()
    run.write_record(make_finished(choices=config.choices, config=config.values))
    return run


def test_an_entry_has_the_names_of_a_record() -> None:
    content = entry_json(settings={"data.distractors": 3}, **{"test/response/stage1": 0.5}, later=[1])
    entry = read_object(EvaluationEntry, content, "x")
    assert (entry.metrics["test/response/stage1"], entry.unknown) == (0.5, {"later": [1]})
    assert entry.to_json() == content


def test_the_difference_is_to_the_recorded_accuracy() -> None:
    assert make_entry(**{"test/top1_accuracy": 0.5, "recorded/top1_accuracy": 0.75}).difference == -0.25
    assert make_entry(**{"recorded/top1_accuracy": None}).difference is None  # the run had no test set


def test_results_are_kept_beside_those_of_other_settings(run: RunFolder) -> None:
    composer = Composer()
    assert read_evaluations(run) == {}
    for overrides, epoch in (((), 1), (("trainer.precision=fp32",), 2), ((), 3)):
        keep(settle(run, "last", composer, overrides), make_entry(epoch=epoch))
    assert {key: entry.epoch for key, entry in read_evaluations(run).items()} == {
        "last": 3, "last trainer.precision=fp32": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b'{"last": ', "it is no JSON ("),
        (b"\xff", "it is not text in UTF-8"),
        (b"[]", "it is no JSON object"),
        (b'{"last": 3}', "last must be a JSON object, and is 3"),
        (b'{"last": {}}', "last.checkpoint is missing"),
        (json.dumps({"last": entry_json(checkpoint="first")}).encode(), "last.checkpoint must be one of last, best"),
        (
            json.dumps({"last": entry_json(**{"test/top1_accuracy": None})}).encode(),
            "last.test/top1_accuracy or test/map50 is missing",
        ),
    ],
)
def test_a_damaged_file_is_one_line_and_is_left_alone(content: bytes, reason: str, run: RunFolder) -> None:
    evaluation = settle(run, "last", Composer(), ())
    run.evaluations_file.write_bytes(content)
    for error, act in ((UserError, lambda: read_evaluations(run)), (SaveError, lambda: keep(evaluation, make_entry()))):
        with pytest.raises(error) as caught:
            act()
        assert str(caught.value).startswith(f"seed0/evaluations.json: damaged: {reason}")
        assert "\n" not in str(caught.value)
    assert run.evaluations_file.read_bytes() == content


def test_a_damaged_run_cannot_be_evaluated(run: RunFolder) -> None:
    run.record_file.write_text("{")
    with pytest.raises(UserError, match=r"^seed0/record\.json: damaged: it is no JSON"):
        settle(run, "last", Composer(), ())


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_an_unfinished_run_says_how_far_it_is(status: str, run: RunFolder) -> None:
    run.write_record(make_record(status))
    run.metrics_file.write_text("damaged\n")
    with pytest.raises(UserError, match=rf"^the run is {status} after \?/4 epochs; finish it first"):
        settle(run, "last", Composer(), ())


def damage(path: Path) -> None:
    path.write_bytes(b"torn")


@pytest.mark.parametrize(("change", "replaced"), [(lambda _: None, False), (damage, True), (Path.unlink, True)])
def test_an_evaluation_leaves_good_predictions_of_the_runs_own_test(
    change: Callable[[Path], object], replaced: bool, run: RunFolder
) -> None:
    write_predictions(run.last_predictions, make_predictions(label=[1], predicted=[1]))
    change(run.last_predictions)
    keep(settle(run, "last", Composer(), ()), make_entry(), make_predictions(label=[1], predicted=[2]))
    found = read_predictions(run.last_predictions)
    assert found is not None
    assert found.predicted.tolist() == [2 if replaced else 1]


def test_predictions_under_settings_are_in_files_of_their_own(run: RunFolder) -> None:
    for precision, predicted in (("fp32", 3), ("bf16", 4), ("fp32", 5)):
        evaluation = settle(run, "last", Composer(), [f"trainer.precision={precision}"])
        keep(evaluation, make_entry(), make_predictions(label=[1], predicted=[predicted]))
    found = {path.name[:-13]: read_predictions(path) for path in run.last_predictions.parent.iterdir()}
    assert {name: one.predicted.tolist() for name, one in found.items() if one} == {
        "last-trainer.precision=fp32": [5], "last-trainer.precision=bf16": [4],
    }  # fmt: skip
