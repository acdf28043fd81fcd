"""launch=dry: commands that work elsewhere, and nothing else on standard output."""

import shlex
from pathlib import Path

import pytest
import yaml

from attnbench.cli.main import main
from attnbench.cli.worker import main as worker
from attnbench.launch.dry import DryLauncher
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.runs.sweeps import SweepFolder
from tests.conftest import TINY

Capture = pytest.CaptureFixture[str]
POD = ("launch.format=kubernetes", "launch.image=lab/attnbench", "launch.claim=outputs", "launch.gpus=1")


def test_each_command_does_one_run_and_finished_runs_are_left_out(capsys: Capture) -> None:
    words = ["train", "-m", *TINY, "recipe.epochs=1", "attention=none,bam", "attention.reduction=2", "launch=dry"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "attention.reduction does not apply to attention=none" in err
    commands = [shlex.split(line) for line in out.splitlines()]
    assert [command[:3] for command in commands] == [["python", "-m", "attnbench.cli.worker"]] * 2
    assert not any(run.record_file.exists() for run in find_runs(Path("outputs")))
    assert worker(commands[0][3:]) == 0
    assert RunFolder(Path(commands[0][3]).parent).finished()
    capsys.readouterr()
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert [shlex.split(line) for line in out.splitlines()] == commands[1:]
    assert "1 of 2 runs are finished and left out" in err


def test_a_single_run_can_be_done_elsewhere_too(capsys: Capture) -> None:
    assert main(["train", *TINY, "launch=dry", "launch.python=/opt/python"]) == 0
    assert capsys.readouterr().out.startswith("/opt/python -m attnbench.cli.worker /")


def test_each_pod_of_a_kubernetes_job_takes_its_own_line(capsys: Capture) -> None:
    assert main(["train", "-m", *TINY, "seed=0,1,2", "sweep.jobs=2", "launch=dry", *POD]) == 0
    job = yaml.safe_load(capsys.readouterr().out)
    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 2)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"nvidia.com/gpu": 1}}
    assert container["volumeMounts"][0]["mountPath"] == str(Path("outputs").absolute())
    (listed,) = Path("outputs/sweeps").glob("*/jobs.txt")
    assert str(listed.absolute()) in container["command"][2]
    assert [Path(line).parent.name for line in listed.read_text().splitlines()] == ["seed0", "seed1", "seed2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (POD[:1], "launch.image=null: launch.format=kubernetes needs one"),
        (("launch.format=helm",), "launch.format=helm: must be commands or kubernetes"),
        (("launch.python=' '",), "launch.python= : must name an interpreter"),
    ],
)
def test_a_wrong_option_is_one_line(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["train", "-m", *TINY, "launch=dry", *words]) == 2
    assert message in capsys.readouterr().err


def test_runs_of_one_sweep_are_launched_in_one_way(capsys: Capture) -> None:
    assert main(["train", "-m", *TINY, "launch=local,dry"]) == 2
    assert "the runs of a sweep are launched in one way" in capsys.readouterr().err


def test_nothing_runs_through_an_engine() -> None:
    with pytest.raises(Exception, match="launch=dry runs nothing"):
        DryLauncher().engine([], 1, SweepFolder(Path("outputs/sweeps/s0")))
