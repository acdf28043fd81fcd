"""The folder of a sweep: its record, its owner, and how it is found again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.job import Job
from attnbench.runs.lock import Lock
from attnbench.runs.sweeps import SweepFolder, find_sweep, find_sweeps, sweep_of

Jobs = Callable[..., list[Job]]


@pytest.fixture
def jobs(own_folder: Path) -> Jobs:
    def make(*seeds: int, output: str = "outputs") -> list[Job]:
        values = {"recipe": {"epochs": 4}, "run": {"again": False}}
        folder = own_folder / output / "runs" / "digits-0123456789"
        return [Job(RunConfig({**values, "seed": seed}, {}, {}), "x", folder / f"seed{seed}") for seed in seeds]

    return make


def begun(jobs: list[Job], engine: str = "local") -> SweepFolder:
    sweep = sweep_of(jobs)
    sweep.begin(jobs, [f"seed={job.seed}" for job in jobs], engine)
    return sweep


def test_the_same_runs_are_the_same_sweep_wherever_the_output_folder_lies(jobs: Jobs) -> None:
    assert sweep_of(jobs(0, 1)).id == sweep_of(jobs(1, 0)).id == sweep_of(jobs(0, 1, output="elsewhere")).id
    assert sweep_of(jobs(0, 1)).id != sweep_of(jobs(0, 1, 2)).id


def test_a_sweep_names_its_runs(jobs: Jobs) -> None:
    both = jobs(0, 1)
    record = begun(both).record()
    assert record is not None
    assert [(run.folder, run.name, run.epochs, run.task) for run in record.runs] == [
        ("runs/digits-0123456789/seed0", "seed=0", 4, ""),
        ("runs/digits-0123456789/seed1", "seed=1", 4, ""),
    ]
    assert [sweep_of(both).run_folder(run) for run in record.runs] == [job.folder for job in both]


def test_a_run_in_another_output_folder_keeps_its_whole_path(jobs: Jobs) -> None:
    both = [*jobs(0), *jobs(1, output="elsewhere")]
    record = begun(both).record()
    assert record is not None
    assert [sweep_of(both).run_folder(run) for run in record.runs] == [job.folder for job in both]


def test_tasks_stay_known_when_the_sweep_begins_again_on_the_same_engine(jobs: Jobs) -> None:
    sweep = begun(jobs(0, 1), "slurm")
    sweep.note_tasks({jobs(1)[0].folder: "12_1"})
    record = begun(jobs(0, 1), "slurm").record()
    assert record is not None
    assert [run.task for run in record.runs] == ["", "12_1"]
    record = begun(jobs(0, 1), "ray").record()
    assert record is not None
    assert [run.task for run in record.runs] == ["", ""]


def test_a_sweep_lives_while_it_is_owned_and_a_second_owner_watches_too(jobs: Jobs) -> None:
    sweep = begun(jobs(0))
    assert not sweep.alive()
    with sweep.owned():
        assert sweep.alive()
    assert not sweep.alive()
    with Lock(sweep.path), sweep.owned():
        assert sweep.alive()


def test_a_sweep_is_found_by_the_start_of_its_id(jobs: Jobs) -> None:
    first, second = begun(jobs(0)), begun(jobs(1))
    assert {sweep.id for sweep in find_sweeps(Path("outputs"))} == {first.id, second.id}
    found = find_sweep(first.id[:6], Path("outputs"))
    assert found is not None
    assert found.id == first.id
    assert find_sweep("sffffffff", Path("outputs")) is None
    assert find_sweep("0123", Path("outputs")) is None


def test_a_damaged_record_is_one_line_and_is_written_anew_by_the_next_beginning(jobs: Jobs) -> None:
    sweep = begun(jobs(0))
    sweep.file.write_text('{"engine": 3, "started": "", "runs": []}')
    with pytest.raises(UserError, match=r"sweep\.json: damaged: engine must be text, and is 3"):
        sweep.record()
    assert begun(jobs(0)).record() is not None
