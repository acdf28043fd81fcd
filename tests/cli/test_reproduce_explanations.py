"""attnbench reproduce with a table of scores of maps: explained once, kept, drawn; a failure is that run's."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from attnbench.cli.main import main
from attnbench.runs.files import read_json
from tests.tables.lab import write_table

TABLE = """\
# Maps of tiny networks
title: Maps of tiny networks
source: nowhere
overrides: [data=cluttered_digits, data.train_images=600, data.validation=100, data.test_images=60, backbone.width=4,
  recipe.epochs=1, trainer.threads=1]
columns:
  energy: {label: energy, metric: energy_in_box}
  pointing: {label: pointing game, metric: pointing_game}
  accuracy: {label: accuracy, metric: top1_accuracy}
baseline: plain
figure: comparison
rows:
  plain: {label: plain, overrides: [attention=none]}
  bam: {label: BAM, overrides: [attention=bam, attention.reduction=2]}
  uniform: {label: uniform map, overrides: [attention=none], map: uniform}
claims:
  - {says: BAM is more local, pairs: [[bam, plain]], column: energy}
"""
KEPT = Path("outputs/reproduced/lab/maps/paper")
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the table was reproduced with one seed."""
    folder = tmp_path_factory.mktemp("maps")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_table(TABLE, name="maps")
        assert main(["reproduce", "lab/maps", "--seeds", "1", "--config-dir", "mine"]) == 0
    return folder


@pytest.fixture
def say(done: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    shutil.copytree(done, own_folder, dirs_exist_ok=True)

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--config-dir", "mine"])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def folder(attention: str) -> Path:
    (run,) = Path("outputs/runs").glob(f"*-{attention}-*")
    return run / "seed0"


def test_scores_are_kept_with_the_table_and_its_picture(say: Say) -> None:
    status, out, err = say("reproduce", "lab/maps", "--seeds", "1")
    assert (status, err) == (0, "")
    assert "seed=0 ·" not in out  # nothing is explained again
    lines = (KEPT / "table.md").read_text().splitlines()
    (uniform,) = (line for line in lines if line.startswith("| uniform map"))
    assert uniform.split("|")[2].strip().startswith("44.44")  # 16 x 16 of 24 x 24 pixels
    assert "a map, no network" in "\n".join(lines)
    assert any(line.endswith("(figure.png)") for line in lines)
    assert '<img src="figure.png"' in (KEPT / "table.html").read_text()
    with Image.open(KEPT / "figure.png") as picture:
        assert picture.width > 300
    assert "energy_in_box" in (KEPT / "records.jsonl").read_text()


def test_what_is_missing_is_explained_in_one_line_each(say: Say) -> None:
    (folder("bam") / "explanations.json").unlink()
    status, out, err = say("reproduce", "lab/maps", "--seeds", "1")
    assert (status, err) == (0, "")
    (line,) = (line for line in out.splitlines() if "energy in box" in line)
    assert line.startswith("BAM seed=0 · 60 images · ")


def test_a_run_that_cannot_be_explained_fails_alone(say: Say) -> None:
    for attention in ("none", "bam"):
        (folder(attention) / "explanations.json").unlink()
    (folder("bam") / "checkpoints" / "last.ckpt").write_text("nothing")
    status, out, err = say("reproduce", "lab/maps", "--seeds", "1")
    assert status == 1
    assert "plain seed=0 · 60 images · " in out
    assert "not explained: attnbench explain RUN" in out
    assert "44.44" in out
    assert all("last.ckpt" in line for line in err.splitlines())


def test_runs_are_compared_by_scores_of_their_maps(say: Say) -> None:
    status, out, _ = say("table", "outputs/runs/*", "--metric", "energy_in_box")
    assert status == 0
    energies = {
        attention: (read_json(folder(attention) / "explanations.json") or {}).popitem()[1]["maps"]["cam/gradcam/final"]
        for attention in ("none", "bam")
    }
    for energy in energies.values():
        assert f"{100 * energy['energy_in_box']['value']:.2f}" in out


def test_the_archive_is_enough_on_another_machine(say: Say) -> None:
    shutil.rmtree("outputs/runs")
    status, out, _ = say("reproduce", "lab/maps", "--seeds", "1")
    assert status == 0
    assert "2 kept" in out
    assert "44.44" in out
    assert (KEPT / "figure.png").is_file()
