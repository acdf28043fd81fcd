"""Results in words and tables."""

from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from attnbench.cli.views.summary import comparison, show_result
from attnbench.config.compose import compose
from attnbench.config.diff import differences, label
from attnbench.config.sweep import expand
from attnbench.formatting import big, duration, spread
from attnbench.runs.folder import Job
from attnbench.runs.record import FinishedRecord
from tests.runs.samples import make_finished, make_record


def told(*overrides: str) -> list[dict[str, str]]:
    return differences(expand(overrides).configs)


def test_differences_are_told_shortly() -> None:
    assert told("attention=none,bam", "attention.reduction=8,16") == [
        {"attention": "none"},
        {"attention": "bam", "reduction": "8"},
        {"attention": "bam", "reduction": "16"},
    ]
    assert told("backbone=wrn10_1,wrn10_2,resnet20") == [
        {"backbone": "wrn10_1"},
        {"backbone": "wrn10_2"},
        {"backbone": "resnet20"},
    ]
    assert told("recipe.lr=0.1,0.2") == [{"lr": "0.1"}, {"lr": "0.2"}]
    assert told("seed=0,1") == [{}, {}]
    # values that an identity leaves out are told beside others
    assert told("data.label_noise=0,0.3") == [{"label_noise": "0"}, {"label_noise": "0.3"}]
    assert told("recipe.backbone_lr_factor=1,0.1", "data=digits") == [
        {"backbone_lr_factor": "1"},
        {"backbone_lr_factor": "0.1"},
    ]
    assert label({"attention": "bam", "reduction": "8"}) == "bam reduction=8"


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5], "50.00"), ([0.5, 0.6], "55.00 ± 7.07"), ([None], "–"), ([], "–"), ([0.1, 0.2, 0.3], "20.00 ± 10.00")],
)
def test_spread_is_a_standard_deviation_with_n_minus_one(values: list[float | None], text: str) -> None:
    assert spread(values) == text


def test_words_for_numbers() -> None:
    assert [duration(seconds) for seconds in (3.2, 59.4, 60, 3599, 3661)] == [
        "3 s",
        "59 s",
        "1 min 00 s",
        "59 min 59 s",
        "1 h 01 min",
    ]
    assert [big(number) for number in (950, 67_906, 22_644_352, 1_324_953_600)] == ["950", "67.9 k", "22.6 M", "1.32 G"]


def record(accuracy: float, best: float | None = None) -> FinishedRecord:
    return make_finished(**{"test/top1_accuracy": accuracy, "test/best/top1_accuracy": best})


def render(item: object) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(item)
    return capture.get()


def test_a_sweeps_table(own_folder: Path) -> None:
    configs = expand(["attention=none,bam", "seed=0,1"]).configs
    jobs = [Job(c, c.choices["attention"], own_folder / f"{n}") for n, c in enumerate(configs)]
    records = {jobs[0].folder: record(0.9, 0.92), jobs[1].folder: record(0.8, 0.82), jobs[2].folder: record(0.95)}
    rows = [line.split("  ") for line in render(comparison(jobs, records)).splitlines()]
    cells = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["attention", "seeds", "last", "best", "params", "MACs", "img/s"] in cells
    assert ["none", "2", "85.00 ± 7.07", "87.00 ± 7.07", "269 k", "22.6 M", "512"] in cells
    assert ["bam", "1", "95.00", "–", "269 k", "22.6 M", "512"] in cells


def test_the_baseline_is_a_sweeps_first_row(own_folder: Path) -> None:
    configs = expand(["attention=ggam,none,bam"]).configs
    jobs = [Job(c, c.choices["attention"], own_folder / f"{n}") for n, c in enumerate(configs)]
    lines = render(comparison(jobs, {job.folder: record(0.9) for job in jobs})).splitlines()
    names = [line.split()[0] for line in lines if "90.00" in line]
    assert names == ["none", "ggam", "bam"]


def test_a_sweeps_table_shows_how_many_runs_diverged_instead_of_an_accuracy(own_folder: Path) -> None:
    configs = expand(["attention=none,bam", "seed=0,1,2"]).configs
    jobs = [Job(c, c.choices["attention"], own_folder / f"{n}") for n, c in enumerate(configs)]
    diverged = make_record("diverged")
    records = {
        jobs[0].folder: record(0.9),
        jobs[1].folder: diverged,
        jobs[2].folder: diverged,
        jobs[3].folder: diverged,
    }
    lines = [line.split() for line in render(comparison(jobs, records)).splitlines()]
    assert ["none", "3", "diverged:", "2", "of", "3", "269", "k", "22.6", "M", "512"] in lines
    assert ["bam", "1", "diverged:", "1", "of", "1"] in lines


def test_one_runs_result(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own_folder / "outputs" / "runs" / "a-b-c" / "seed0"
    show_result(Console(width=200, highlight=False), record(0.9, 0.92), folder)
    printed = capsys.readouterr().out
    for part in ("outputs/runs/a-b-c/seed0", "90.00%", "92.00%", "3 of 4", "269,434", "tensorboard --logdir outputs"):
        assert part in printed
    show_result(Console(width=200, highlight=False), record(0.9), folder, found=True)
    assert "run.again=true" in capsys.readouterr().out


def test_a_configuration_alone_differs_in_nothing(own_folder: Path) -> None:
    make: Callable[[], list[dict[str, str]]] = lambda: differences([compose()])  # noqa: E731
    assert make() == [{}]
