"""attnbench evaluate from the outside: what is printed, kept and refused, and exit statuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attnbench
from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.runs.evaluations import Evaluation
from attnbench.runs.files import write_json
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.predictions import read_predictions
from attnbench.training import evaluate as evaluation
from attnbench.training.evaluate import EvaluationResult
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.runs.samples import written_record

Capture = pytest.CaptureFixture[str]
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with two seeds of one configuration and one of another."""
    output = tmp_path_factory.mktemp("trained")
    small = ("data=cluttered_digits", "data.train_images=600", "data.validation=100", "data.test_images=200")
    for overrides in ((*small,), (*small, "seed=1"), ("attention=bam", "attention.reduction=2")):
        train(plan(compose([*TINY, *overrides, "recipe.epochs=1", f"output={output}"])))
    return output


@pytest.fixture
def runs(trained: Path) -> list[RunFolder]:
    """Copies of these runs in `outputs`: plain seed0, plain seed1, bam seed0."""
    shutil.copytree(trained, "outputs")
    found = find_runs(Path("outputs"))
    assert [run.path.parent.name.rpartition("-")[0] for run in found[1:]] == [
        "cluttered_digits-resnet20-none", "digits-resnet20-bam",
    ]  # fmt: skip
    return found


@pytest.fixture
def say(capsys: Capture) -> Say:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(["evaluate", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def kept(run: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run.evaluations_file.read_text())
    return content


def accuracy(run: RunFolder) -> float:
    return float(written_record(run.path)["test/top1_accuracy"])


def prefix(run: RunFolder) -> str:
    return run.path.parent.name.rpartition("-")[2][:6]


def test_without_overrides_the_result_is_the_recorded_one(runs: list[RunFolder], say: Say) -> None:
    before = runs[0].record_file.read_bytes()
    status, out, err = say(str(runs[0].path))
    assert (status, err) == (0, "")
    (row,) = (line.split() for line in out.splitlines() if "/seed0" in line)
    assert row[0] == f"{runs[0].path.parent.name}/seed0"
    assert row[1:4] == [f"{100 * accuracy(runs[0]):.2f}"] * 2 + ["0"]
    assert row[4:6] == ["1.43", "M"]
    assert "measured once" in out
    assert kept(runs[0])["last"]["test/top1_accuracy"] == accuracy(runs[0])
    assert runs[0].record_file.read_bytes() == before


def test_predictions_are_kept_for_every_setting(runs: list[RunFolder], say: Say) -> None:
    assert say(str(runs[0].path), "trainer.precision=fp32")[0] == 0
    (path,) = (path for path in runs[0].last_predictions.parent.iterdir() if path != runs[0].last_predictions)
    found, own = read_predictions(path), read_predictions(runs[0].last_predictions)
    assert found is not None
    assert own is not None
    assert path.name.startswith("last-trainer.precision=fp32-")
    assert found.accuracy == kept(runs[0])["last trainer.precision=fp32"]["test/top1_accuracy"]
    assert own.accuracy == accuracy(runs[0])


def test_seeds_end_with_their_mean(runs: list[RunFolder], say: Say) -> None:
    status, out, _ = say("outputs/runs/*", "--checkpoint", "best")
    assert status == 0
    assert out.count("/seed") == 3
    (mean,) = (line for line in out.splitlines() if "mean ± std of 2 seeds" in line)
    both = [100 * accuracy(run) for run in runs[:2]]
    spread = abs(both[0] - both[1]) / 2**0.5
    assert f"{sum(both) / 2:.2f} ± {spread:.2f}" in mean
    assert all(set(kept(run)) == {"best"} for run in runs)


def test_several_values_are_several_evaluations(runs: list[RunFolder], say: Say) -> None:
    status, out, _ = say(prefix(runs[0]), "-m", "data.distractors=0,8,16,8.0", "trainer.precision=fp32")
    assert status == 0
    for name in ("distractors=0", "distractors=16"):
        assert out.count(name) == 2  # once a seed
    assert out.count("mean ± std") == 3
    for run in runs[:2]:
        assert [entry["settings"].get("data.distractors") for entry in kept(run).values()] == [0, None, 16]


def test_shared_settings_are_shown_below_the_table(runs: list[RunFolder], say: Say) -> None:
    assert (
        "settings: data.mean=[0.5], trainer.precision=fp32"
        in say(str(runs[2].path), "trainer.precision=fp32", "data.mean=[0.5]")[1]
    )  # sorted, and no markup


def test_the_same_evaluation_again_replaces_its_entry(runs: list[RunFolder], say: Say) -> None:
    for _ in range(2):
        assert say(str(runs[2].path), "trainer.precision=fp32")[0] == 0
        (key,) = kept(runs[2])
        assert key == "last trainer.precision=fp32"
        content = kept(runs[2])
        content[key]["mark"] = True
        runs[2].evaluations_file.write_text(json.dumps(content))
    assert say(str(runs[2].path))[0] == 0
    assert list(kept(runs[2])) == ["last trainer.precision=fp32", "last"]


def test_json_has_one_entry_per_evaluation(runs: list[RunFolder], say: Say) -> None:
    status, out, _ = say("--json", str(runs[1].path), "data.distractors=0")
    (found,) = json.loads(out)
    assert status == 0
    assert found["difference"] == found["test/top1_accuracy"] - accuracy(runs[1])
    assert (found["run"], found["seed"]) == (str(runs[1].path), 1)
    (entry,) = kept(runs[1]).values()
    assert {key: found[key] for key in entry} == entry


MISTAKES: dict[tuple[str, ...], str] = {
    (): "name a run: its folder, the start of its hash, or a pattern",
    ("data.distractors=3",): "name a run",
    ("0123456789",): "0123456789: no run in outputs/runs",
    ("nothing*",): "nothing*: matches no run",
    ("outputs/runs/digits*", "output=nowhere", "0123456789"): "0123456789: no run in nowhere/runs",
    (
        "outputs/runs/cluttered*",
        "data.distracters=3",
    ): "1 more: data.distracters: data=cluttered_digits has no such",
    ("outputs/runs/digits*", "attention.reduction=4"): "the run's weights do not fit: 20 of another shape",
    ("outputs/runs/digits*", "attention.reduction=1,2"): "attention.reduction=1,2: to try several values add -m",
    ("outputs/runs/digits*", "output=a,b"): "output=a,b: takes one value here",
    ("outputs/runs/digits*", "-m", "hydra.job.name=x"): "means nothing to a trained run",
    ("outputs/runs/digits*", "seed=3"): "a trained run keeps its seed",
    ("outputs/runs/digits*", "--checkpoint", "bets"): "invalid choice: 'bets'",
    ("outputs/runs/digits*", "--config-dir", "nowhere"): "--config-dir nowhere: no such folder",
    ("outputs/runs",): "contains runs and is not a run",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_a_mistake_is_one_line_and_nothing_is_evaluated(
    words: tuple[str, ...], message: str, runs: list[RunFolder], say: Say
) -> None:
    status, out, err = say(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("attnbench: ")
    assert message in err
    assert not any(run.evaluations_file.exists() for run in runs)


def test_runs_that_cannot_be_evaluated_are_left_out(runs: list[RunFolder], say: Say) -> None:
    write_json(runs[1].record_file, {**written_record(runs[1].path), "status": "failed"})
    runs[2].last_checkpoint.unlink()
    status, out, err = say("outputs/runs/*")
    assert (status, err.count("\n")) == (1, 2)
    assert f"left out: {runs[1].path}: the run is failed after 1/1 epochs; finish it first" in err
    assert f"left out: {runs[2].path}: checkpoints/last.ckpt is not there" in err
    assert runs[0].evaluations_file.exists()
    assert runs[0].path.parent.name in out
    status, out, err = say("outputs/runs/*", "data.distracters=3")
    assert (status, out) == (2, "")  # a mistake in what was asked for keeps all from being tested


def test_a_damaged_run_is_left_out(runs: list[RunFolder], say: Say) -> None:
    runs[0].record_file.write_bytes(b"\xff")
    runs[1].last_checkpoint.write_bytes(b"torn")
    status, out, err = say("outputs/runs/*")
    assert (status, err.count("\n")) == (1, 2)
    assert f"left out: {runs[0].record_file}: damaged: it is not text in UTF-8" in err
    assert f"left out: {runs[1].last_checkpoint}: damaged: it cannot be read" in err
    assert runs[2].path.parent.name in out
    status, out, err = say(str(runs[0].path))
    assert (status, out, err.count("\n")) == (2, "", 1)


STRANGER = """
from pathlib import Path
from attnbench.data.sets.digits import Digits
Path("was_here").touch()
"""


def test_no_code_runs_because_a_run_names_it(runs: list[RunFolder], say: Say) -> None:
    record = written_record(runs[2].path)
    record["config"]["data"]["_target_"] = "stranger.Digits"
    write_json(runs[2].record_file, record)
    Path("stranger.py").write_text(STRANGER)
    status, _, err = say(str(runs[2].path))
    assert (status, err.count("\n")) == (2, 1)
    assert "data._target_: the run was trained with stranger.Digits" in err
    assert "add --trust stranger" in err
    assert not Path("was_here").exists()
    assert say(str(runs[2].path), "--trust", "somebody")[0] == 2
    assert not Path("was_here").exists()
    status, out, _ = say(str(runs[2].path), "trust=stranger")
    assert (status, Path("was_here").exists()) == (0, True)
    assert f"{100 * written_record(runs[2].path)['test/top1_accuracy']:.2f}" in out


@pytest.mark.parametrize("words", [("evaluate", "nothing"), ("list", "runs"), ("table", "nothing")])
def test_verbs_that_read_runs_import_nothing_from_the_current_folder(words: tuple[str, ...]) -> None:
    for name in ("hydra", "numpy", "yaml", "rich", "stranger"):
        Path(f"{name}.py").write_text('open("was_here", "w")\n')
    environment = {**os.environ, "PYTHONPATH": str(Path(attnbench.__file__).parents[1])}
    result = subprocess.run(
        [sys.executable, "-m", "attnbench", *words], check=False, capture_output=True, text=True, env=environment
    )
    assert (result.returncode, result.stderr.count("\n")) == (2, 1), result.stderr
    assert not Path("was_here").exists()


def raising(number: int, error: BaseException) -> Callable[[Evaluation], EvaluationResult]:
    """An `evaluate` that fails at its call `number`."""
    calls = []
    evaluate = evaluation.evaluate

    def call(one: Evaluation) -> EvaluationResult:
        calls.append(one)
        if len(calls) == number:
            raise error
        return evaluate(one)

    return call


def test_a_failure_does_not_stop_the_others(runs: list[RunFolder], say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "evaluate", raising(2, RuntimeError("the disk is on fire")))
    status, out, err = say("outputs/runs/*")
    assert status == 1
    assert f"{runs[1].path}: failed: RuntimeError: the disk is on fire" in err
    assert [run.evaluations_file.exists() for run in runs] == [True, False, True]
    assert out.count("/seed") == 2


def test_a_result_that_cannot_be_kept_is_shown(runs: list[RunFolder], say: Say) -> None:
    runs[0].evaluations_file.mkdir()
    status, out, err = say(str(runs[0].path))
    assert (status, out.count("/seed"), err.count("\n")) == (1, 1, 1)
    assert "the result could not be kept" in err


def test_results_from_before_an_interrupt_are_kept(
    runs: list[RunFolder], say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation, "evaluate", raising(3, KeyboardInterrupt()))
    status, out, err = say("outputs/runs/*")
    assert (status, err) == (130, "attnbench: interrupted after 2 of 3 evaluations\n")
    assert [run.evaluations_file.exists() for run in runs] == [True, True, False]
    assert out.count("/seed") == 2


def test_ctrl_c_ends_with_130_and_keeps_what_was_done(runs: list[RunFolder]) -> None:
    words = [str(runs[0].path), "-m", "data.distractors=range(16)"]
    command = [sys.executable, "-m", "attnbench", "evaluate", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    try:
        while not runs[0].evaluations_file.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    done = len(kept(runs[0]))
    assert 1 <= done < 16
    assert f"interrupted after {done} of 16 evaluations" in err
    assert out.count("/seed0") == done


def test_a_mistake_in_an_override_does_not_import_torch(trained: Path) -> None:
    Path("outputs").symlink_to(trained)
    call = "main(['evaluate', 'outputs/runs/digits*', 'attention.reductoin=3'])"
    code = f"import sys; from attnbench.cli.main import main; {call}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_script_calls_the_same_function() -> None:
    script = Path(attnbench.__file__).parent.parent / "scripts" / "evaluate.py"
    result = subprocess.run([sys.executable, os.fspath(script), "abc"], check=False, capture_output=True, text=True)
    assert (result.returncode, "abc: no run in outputs/runs" in result.stderr) == (2, True)


def test_completion_ignores_the_names_of_runs(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    for line, offered in (
        ("attnbench ev", "evaluate"),
        ("attnbench evaluate a37d17 outputs/runs/x data=cif", "data=cifar10 data=cifar100"),
        ("attnbench evaluate a37d17 data=digits data.bat", "data.batch_size="),
    ):
        monkeypatch.setenv("COMP_LINE", line)
        assert main(["-sc", "query=bash"]) == 0
        assert capsys.readouterr().out.split() == offered.split()
