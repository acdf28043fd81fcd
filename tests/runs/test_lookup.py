"""A run is meant by its folder, by the start of its hash, or by a pattern."""

from pathlib import Path

import pytest

from attnbench.runs.folder import RunFolder
from attnbench.runs.lookup import find
from tests.runs.samples import make_record

RUNS = Path("outputs/runs")
A, B, C = "digits-resnet20-none-ce030cedd1", "digits-resnet20-bam-ce99ce99ce", "cifar10-wrn28_10-gated-0123456789"
FOLDERS = [f"{A}/seed0", f"{A}/seed2", f"{A}/seed10", f"{B}/seed0", f"{C}/seed0"]


@pytest.fixture(autouse=True)
def runs(own_folder: Path) -> None:
    """Five runs, one set aside, and files that are none."""
    for folder in (*FOLDERS, f"{A}/aside/seed0-1"):
        (RUNS / folder).mkdir(parents=True)
        RunFolder(RUNS / folder).write_record(make_record())
    (RUNS / "notes.txt").write_text("not a run")
    (RUNS / f"{B}-planned-0f0f0f0f0f").mkdir()
    (own_folder / "elsewhere").symlink_to(RUNS / B)


def meant(*names: str, output: str = "outputs") -> list[str]:
    found, refusals = find(names, Path(output))
    assert not refusals
    return [str(run.path.resolve().relative_to((Path(output) / "runs").resolve())) for run in found]


@pytest.mark.parametrize(
    ("names", "folders"),
    [
        ((f"outputs/runs/{A}/seed2",), [1]),
        ((f"outputs/runs/{A}",), [0, 1, 2]),  # in the order of the numbers
        ((f"{A}/",), [0, 1, 2]),
        ((f"outputs/runs/{A}/aside/seed0-1",), [f"{A}/aside/seed0-1"]),
        (("elsewhere",), [3]),
        (("ce0",), [0, 1, 2]),
        (("ce030cedd1/seed10",), [2]),
        (("0",), [4]),
        (("outputs/runs/*",), [4, 3, 0, 1, 2]),  # notes and what was set aside are left out
        (("digits-*",), [3, 0, 1, 2]),
        (("outputs/runs/*/*",), [4, 3, 0, 2, 1]),
        ((f"{B}/seed?", "ce99", "elsewhere", "0123456789"), [3, 4]),  # each once
    ],
)
def test_what_is_meant(names: tuple[str, ...], folders: list[int | str]) -> None:
    assert meant(*names) == [FOLDERS[folder] if isinstance(folder, int) else folder for folder in folders]


def test_runs_lie_where_output_says(own_folder: Path) -> None:
    Path("outputs").rename("there")
    assert meant("ce99", output="there") == [FOLDERS[3]]
    assert meant(str(own_folder / "there" / "runs" / "cifar*"), output="there") == [FOLDERS[4]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ce", f"ce: 2 runs in outputs/runs have a hash with this start: {B}, {A}"),
        ("abc", "abc: no run in outputs/runs has a hash with this start"),
        ("ce99/seed7", f"ce99: outputs/runs/{B} has no seed7"),
        ("0f0f", "0f0f: no run in outputs/runs"),  # nothing was started there
        ("nowhere/x", "nowhere/x: no such run here or in outputs/runs"),
        ("x*", "x*: matches no run here or in outputs/runs"),
        ("outputs/runs", "outputs/runs: contains runs and is not a run; 'outputs/runs/*' names all of them"),
        ("outputs", "outputs: there is no run"),
        ("outputs/runs/notes.txt", "outputs/runs/notes.txt: is not a folder"),
        (f"outputs/runs/{A}/aside", "aside: contains runs and is not a run"),
        (f"outputs/runs/{B}-planned-0f0f0f0f0f", "there is no run"),
    ],
)
def test_what_means_nothing_or_too_much_is_one_line(name: str, told: str) -> None:
    found, (refusal,) = find([name, "0123"], Path("outputs"))
    assert told in refusal
    assert "\n" not in refusal
    assert len(found) == 1


def test_every_wrong_name_is_told() -> None:
    assert len(find(["abc", "x*", "ce"], Path("outputs"))[1]) == 3
