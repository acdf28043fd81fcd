"""A run whose data was moved is explained, exported, reported and used where the data is today."""

from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.runs.folder import find_runs
from tests.conftest import TINY
from tests.data.pictures import picture

LOCATION = "data.root=moved"


@pytest.fixture
def run() -> str:
    """The folder of a run on images that were moved after it was trained."""
    for split, count in {"train": 8, "test": 4}.items():
        for label in ("cat", "dog"):
            folder = Path("images", split, label)
            folder.mkdir(parents=True)
            for number in range(count):
                picture(16, 16, number).save(folder / f"{number}.png")
    options = [word for word in TINY if not word.startswith("data")]
    words = ["data=image_folder", "data.root=images", "data.image_size=16", "data.batch_size=8", "data.validation=4"]
    assert main(["train", *options, *words, "attention=bam", "attention.reduction=2", "recipe.epochs=1"]) == 0
    Path("images").rename("moved")
    return str(next(iter(find_runs(Path("outputs")))).path)


def test_the_verbs_find_it_where_it_is_today(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    verbs = {
        "explain": ["--images", "2"],
        "predict": ["moved/test/cat/0.png"],
        "export": ["--format", "safetensors"],
    }
    for verb, words in verbs.items():
        assert main([verb, run, *words]) == 2, verb
        assert "no train folder" in capsys.readouterr().err
        assert main([verb, run, LOCATION, *words]) == 0, verb


def test_a_report_explains_it(run: str, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["report", run, "--explain", "--images", "2"]) == 0
    assert "not explained" in caplog.text
    caplog.clear()
    assert main(["report", run, LOCATION, "--explain", "--images", "2"]) == 0
    assert "not explained" not in caplog.text
