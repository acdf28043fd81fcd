"""attnbench explain from the outside: pictures, maps, scores, and mistakes in one line."""

import csv
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import attnbench
from attnbench.cli.main import main
from attnbench.cli.worker import work
from attnbench.config.compose import compose
from attnbench.explain import draw, explain
from attnbench.explain.pick import names_of, pick_images
from attnbench.explain.session import Session
from attnbench.runs.explanations import Request
from attnbench.runs.files import read_json, write_json
from attnbench.runs.predictions import Pick
from attnbench.training.plan import plan
from attnbench.training.train import train
from attnbench.training.trained_run import TrainedRun
from attnbench.version import __version__
from tests.conftest import TINY
from tests.data.pictures import picture

Runs = list[TrainedRun]
Say = Callable[..., tuple[int, str, str]]
SMALL = ("data=cluttered_digits", "data.train_images=600", "data.validation=100", "data.test_images=200")
RUNS = {"none": (), "bam": ("attention.reduction=2",)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with a run of the plain network and one of BAM on the same images."""
    output = tmp_path_factory.mktemp("trained")
    for attention, options in RUNS.items():
        words = [*TINY, *SMALL, f"attention={attention}", *options, "recipe.epochs=1", f"output={output}"]
        train(plan(compose(words)))
    return output


@pytest.fixture
def output(trained: Path, own_folder: Path) -> Path:
    left = shutil.ignore_patterns("explanations.json")  # of tests that explain `runs`
    return shutil.copytree(trained, own_folder / "outputs", ignore=left)


@pytest.fixture(scope="module")
def runs(trained: Path) -> Runs:
    """Both runs, loaded."""
    return [attnbench.load_run(next((trained / "runs").glob(f"*-{attention}-*")) / "seed0") for attention in RUNS]


@pytest.fixture
def say(output: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*words: str) -> tuple[int, str, str]:
        status = main(["explain", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def folder(attention: str) -> str:
    (run,) = Path("outputs/runs").glob(f"*-{attention}-*")
    return str(run / "seed0")


def test_two_runs_are_drawn_scored_and_compared(say: Say) -> None:
    status, out, err = say(folder("bam"), folder("none"), "--images", "3", "--faithfulness")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("bam seed0 · 3 images · ")
    assert " · Grad-CAM at final · energy in box 0." in lines[0]
    assert "uniform map 0.44, none seed0 0." in lines[0]  # 16 x 16 of 24 x 24 pixels
    assert lines[2].endswith("the attention has no maps")
    assert lines[-2:] == [
        "comparison: outputs/explanations/comparison.png",
        "gallery: outputs/explanations/comparison.html",
    ]
    assert 10_000 < Path("outputs/explanations/comparison.html").stat().st_size < 200_000
    places = {path.suffix: path for path in Path("outputs/explanations").glob("*-bam-*")}
    assert set(places) == {".png", ".npz", ".csv"}
    with Image.open(places[".png"]) as image:
        assert image.width > image.height / 3
    with np.load(places[".npz"]) as maps:
        assert maps["panel/cam/gradcam/final"].shape == (3, 6, 6)
        assert maps["panel/stage1.out/M"].dtype == np.float32
        assert maps["map/stage1.out"].shape == (3, 4, 24, 24)
        assert maps["boxes"].shape == (3, 4)
    rows = list(csv.DictReader(places[".csv"].open()))
    names = ["cam/gradcam/final", "cam/gradcam/attention", "stage1.out/M", "stage2.out/M"]
    assert [row["map"] for row in rows[:6]] == [*names, "uniform", "centred Gaussian"]
    assert len(rows) == 3 * 6
    assert all(float(row["energy_in_box"]) == pytest.approx(16**2 / 24**2, abs=1e-5) for row in rows[4::6])


def test_means_are_kept_beside_the_record_and_other_entries_stay(say: Say) -> None:
    run = folder("none")
    assert say(run, "--images", "2", "--seed", "3", "--layers", "stage1.out")[0] == 0
    assert say(run, "--images", "4", "--method", "hirescam")[0] == 0
    first, second = (read_json(Path(run) / "explanations.json") or {}).values()
    assert (first["images"], first["seed"], first["layers"]) == (2, 3, ["cam/gradcam/stage1.out"])
    assert (second["class"], second["methods"], second["thresholds"]) == ("true", ["hirescam"], "validation")
    mean = second["maps"]["uniform"]["energy_in_box"]
    assert mean["value"] == pytest.approx(16**2 / 24**2, abs=1e-5)
    assert mean["n"] == 4
    hits = second["maps"]["cam/hirescam/final"]["pointing_game"]
    assert 0 <= hits["low"] < hits["high"] <= 1


def test_measures_that_are_not_taken_again_stay_unless_they_are_of_another_version(say: Say) -> None:
    words, file = (folder("none"), "--images", "1"), Path(folder("none")) / "explanations.json"
    insertion = {"value": 0.5, "low": None, "high": None, "n": 1, "by_class": 0.5}
    for version, expected in ((__version__, insertion), ("0", None)):
        assert say(*words)[0] == 0
        ((key, entry),) = (read_json(file) or {}).items()
        entry["maps"]["cam/gradcam/final"]["insertion"] = insertion
        entry["maps"]["uniform"]["energy_in_box"]["value"] = -1.0
        write_json(file, {key: {**entry, "version": version}})
        assert say(*words)[0] == 0
        ((_, again),) = (read_json(file) or {}).items()
        assert again["maps"]["cam/gradcam/final"].get("insertion") == expected
        assert again["maps"]["uniform"]["energy_in_box"]["value"] > 0


def test_the_same_seed_gives_the_same_images(runs: Runs) -> None:
    first, again, other = (pick_images(runs, 6, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again == sorted(first)
    assert first != other
    assert pick_images(runs, 1000).tolist() == list(range(200))


@pytest.mark.parametrize("pick", ["right", "wrong", "changed"])
def test_images_are_picked_by_predictions(runs: Runs, pick: Pick) -> None:
    chosen = pick_images(runs, 5, pick)
    first, second = (run.test_predictions.predicted[chosen] for run in runs)
    label = runs[0].test_predictions.label[chosen]
    meant = {
        "right": (first == label) & (second == label),
        "wrong": (first != label) & (second != label),
        "changed": first != second,
    }
    assert len(chosen) == 5
    assert meant[pick].all()


def test_runs_have_short_names_that_differ(runs: Runs) -> None:
    assert names_of(runs) == ["none seed0", "bam seed0"]


def test_runs_of_two_output_folders_have_names_and_files_of_their_own(runs: Runs, output: Path) -> None:
    same = [runs[0], attnbench.load_run(folder("none"))]
    session = Session(same, Request(images=1), Path("pictures"))
    first, second = session.names
    assert second == f"{first} (2)"
    assert session.stems == [f"{runs[0].folder.parent.name}-seed0", f"{runs[0].folder.parent.name}-seed0-2"]
    list(session.lines(session.find()))
    assert {f"{stem}.png" for stem in session.stems} <= {path.name for path in Path("pictures").iterdir()}


def test_image_files_are_explained_without_scores(say: Say) -> None:
    for number in range(2):
        picture(50, 40, number).save(f"photo{number}.jpg")
    status, out, _ = say(folder("bam"), "--image", "photo0.jpg", "--image", "photo1.jpg", "--class", "7")
    assert status == 0
    assert out.splitlines()[0] == "bam seed0 · 2 images · Grad-CAM at final"
    assert not (Path(folder("bam")) / "explanations.json").exists()
    with np.load(next(Path("outputs/explanations").glob("*.npz"))) as maps:
        assert maps["target"].tolist() == [7, 7]
        assert maps["image"].tolist() == ["photo0.jpg", "photo1.jpg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--pick", "changed"], "--pick changed: name two runs or more"),
        (["--class", "eleven"], "class eleven: no such class"),
        (["--method", "gradcan"], "method gradcan: no such method; did you mean gradcam?"),
        (["--layers", "stage9.out"], "layer stage9.out: no such place"),
        (["--images", "0"], "--images 0: must be at least 1"),
        (["--image", "nothing.png"], "nothing.png: cannot be read"),
        (["data.canvas=32"], "attnbench explain takes no overrides but data.root, output, launch and sweep.jobs"),
        (["launch=slrm"], "did you mean slurm?"),
        (["launch=dry", "launch.formt=kubernetes"], "launch.formt: launch=dry has no such key; did you mean format?"),
        (["sweep.jobs=0"], "sweep.jobs=0: must be at least 1, or auto"),
        (["nowhere"], "nowhere: no such run"),
    ],
)
def test_mistakes_are_one_line(say: Say, words: list[str], message: str) -> None:
    status, out, err = say(folder("bam"), *words)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_run_that_is_not_finished_is_left_out(say: Say) -> None:
    path = Path(folder("bam")) / "record.json"
    write_json(path, {**(read_json(path) or {}), "status": "interrupted"})
    status, out, err = say("outputs/runs/*", "--images", "1")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"attnbench: left out: {folder('bam')}: the run is interrupted after 1")
    assert out.startswith("none seed0 · 1 images") and "bam" not in out
    assert say(folder("bam"), "--images", "1") == (2, "", err.replace("left out: ", ""))


def test_a_run_that_cannot_be_explained_leaves_the_others_as_they_are(say: Say) -> None:
    path = Path(folder("bam")) / "checkpoints/last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    for values in checkpoint["state_dict"].values():
        if values.is_floating_point():
            values.fill_(float("nan"))
    torch.save(checkpoint, path)
    status, out, err = say("outputs/runs/*", "--images", "1")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith(f"attnbench: {folder('bam')}: failed: bam seed0: cam/gradcam/final holds values that are not")
    assert out.startswith("none seed0 · 1 images") and "bam" not in out
    assert len(kept_means("none")) == 1
    status, out, err = say(folder("bam"), "--images", "1")
    assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("words", [("--layers", "attention"), ("--class", "eleven"), ("--method", "gradcan")])
def test_a_mistake_in_what_is_asked_for_stops_every_run(say: Say, words: tuple[str, str]) -> None:
    status, out, err = say("outputs/runs/*", "--images", "1", *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert not list(Path("outputs").rglob("explanations*"))


def commanded(out: str) -> list[Path]:
    """Return the job files of the commands that `launch=dry` printed."""
    commands = [shlex.split(line) for line in out.splitlines() if line.startswith("python")]
    assert all(words[:3] == ["python", "-m", "attnbench.cli.worker"] for words in commands)
    return [Path(words[3]) for words in commands]


def pictures() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("outputs/explanations").iterdir() if path.is_file()}


def kept_means(attention: str) -> list[object]:
    entries = read_json(Path(folder(attention)) / "explanations.json") or {}
    return [(key, entry["maps"]) for key, entry in entries.items()]


def test_a_job_finds_the_same_and_the_same_command_draws_it(say: Say, capsys: pytest.CaptureFixture[str]) -> None:
    words = (folder("bam"), "--images", "1")
    _, expected, _ = say(*words)
    files, means = pictures(), kept_means("bam")
    for path in ("outputs/explanations", f"{folder('bam')}/explanations.json"):
        shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()
    status, out, err = say(*words, "launch=dry")
    assert (status, err, pictures()) == (0, "", {})
    (file,) = commanded(out)
    assert [work(file), work(file)] == [0, 0]
    assert f"{file.parent.name}: was explained before" in capsys.readouterr().out
    assert say(*words, "launch=dry")[1].endswith(expected)
    assert (pictures(), kept_means("bam")) == (files, means)
    assert len(commanded(say(*words, "--seed", "1", "launch=dry")[1])) == 1  # another image is another job


def test_a_job_that_fails_leaves_the_others_and_is_done_again(say: Say) -> None:
    words = ("outputs/runs/*", "--images", "2", "launch=dry")
    bam, none = commanded(say(*words)[1])
    (bam.parent / "maps.npz").mkdir()
    assert [work(file) for file in (bam, none)] == [2, 0]
    record = read_json(bam.parent / "record.json") or {}
    assert record["status"] == "failed" and "maps.npz: damaged: it is a folder" in record["error"]
    status, out, err = say(*words)
    assert (status, commanded(out)) == (0, [bam])
    assert "1 of 2 runs are finished and left out" in err
    (bam.parent / "maps.npz").rmdir()
    assert work(bam) == 0
    assert (read_json(bam.parent / "record.json") or {})["status"] == "finished"


def test_a_run_that_was_trained_again_is_not_explained_by_an_earlier_job(
    say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    (job,) = commanded(say(folder("none"), "--images", "1", "launch=dry")[1])
    record = read_json(Path(folder("none")) / "record.json") or {}
    write_json(Path(folder("none")) / "record.json", {**record, "written": "2099-01-01T00:00:00+00:00"})
    assert work(job) == 2
    assert "the run was trained again meanwhile" in capsys.readouterr().err
    assert commanded(say(folder("none"), "--images", "1", "launch=dry")[1]) != [job]


@pytest.mark.slow
def test_an_engine_explains_what_can_be_explained(say: Say) -> None:
    words = ("outputs/runs/*", "--images", "2")
    _, expected, _ = say(*words)
    files = pictures()
    bam, none = commanded(say(*words, "launch=dry")[1])
    (bam.parent / "maps.npz").mkdir()
    status, out, err = say(*words, "launch=local", "sweep.jobs=2")
    assert status == 1
    assert "failed: outputs/explanations/jobs/" in err and "maps.npz: damaged" in err
    assert f"gallery: {folder('none').replace('runs', 'explanations').replace('/seed0', '-seed0')}.html" in out
    (bam.parent / "maps.npz").rmdir()
    status, out, err = say(*words, "launch=local")
    assert (status, err) == (0, "")
    assert "seed=0: found" in out and out.endswith(expected)
    assert {name: content for name, content in pictures().items() if name in files} == files
    assert main(["clean", "explanations", "--yes"]) == 0
    assert not bam.parent.exists() and not none.parent.exists()


def test_a_run_that_names_another_class_is_explained_if_its_package_is_trusted(say: Say) -> None:
    run = Path(folder("none"))
    record = read_json(run / "record.json") or {}
    record["config"]["attention"]["_target_"] = "stranger.Plain"
    write_json(run / "record.json", record)
    Path("stranger.py").write_text("from attnbench.attention.base import Attention as Plain\n")
    status, out, err = say(str(run), "--images", "1")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "add --trust stranger" in err
    assert say(str(run), "--images", "1", "--output", "elsewhere", "--trust", "stranger")[0] == 0
    assert list(Path("elsewhere/explanations").glob("*-none-*.png"))


def test_thresholds_that_validation_images_do_not_give_are_of_the_test_images(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnbench.explain.scored_run.cuts_for", lambda *_: {})  # as where those have no boxes
    assert say(folder("none"), "--images", "1")[0] == 0
    (entry,) = (read_json(Path(folder("none")) / "explanations.json") or {}).values()
    assert entry["thresholds"] == "test"


def test_a_method_that_is_named_twice_is_shown_once(say: Say) -> None:
    assert say(folder("none"), "--images", "1", "--method", "eigencam,eigencam", "--layers", "final,final")[0] == 0
    (entry,) = (read_json(Path(folder("none")) / "explanations.json") or {}).values()
    assert (entry["methods"], entry["layers"]) == (["eigencam"], ["cam/eigencam/final"])


def test_a_missing_library_is_one_line(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    status, _, err = say(folder("bam"))
    assert status == 2
    assert err.endswith("which is not installed: pip install 'attnbench[explain]'\n")
    assert not Path("outputs/explanations").exists()


def test_five_lines_in_python(output: Path) -> None:
    run = attnbench.load_run(folder("none"))
    found = explain(run, run.test_images[:3], labels=run.test_labels[:3])
    draw(found, "maps.png")
    assert Path("maps.png").stat().st_size > 10_000
    assert found.predicted.tolist() == run.predict(run.test_images[:3]).argmax(1).tolist()
    assert found.classes == run.classes
