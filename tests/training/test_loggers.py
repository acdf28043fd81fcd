"""Loggers: several at once, named as the folder is, and never a key in a record."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.config.validate import RunConfig
from attnbench.errors import NotInstalledError, UserError
from attnbench.runs.folder import RunFolder, find_runs
from attnbench.training import addons
from attnbench.training.loggers import csv as csv_logger
from attnbench.training.plan import plan
from attnbench.training.train import train
from tests.conftest import TINY
from tests.faults.processes import wait_until
from tests.training.test_train import stop_after

Tiny = Callable[..., RunConfig]


def rows(run: RunFolder) -> list[dict[str, str]]:
    with (run.path / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_several_loggers_are_a_list() -> None:
    both = compose([*TINY, "logger=[tensorboard,csv]"])
    assert list(both["logger"]) == ["tensorboard", "csv"]
    assert both.identity == compose(list(TINY)).identity
    assert list(compose([*TINY, "logger=[csv,none]", "recipe=adamw"])["logger"]) == ["csv"]
    for word, reason in (
        ("logger=[csv,cvs]", "did you mean csv?"),
        ("logger=[]", "names no choice"),
        ("backbone=[resnet20,resnet32]", "takes one choice"),
    ):
        with pytest.raises(UserError, match=reason.replace("?", r"\?")):
            compose([word])


def test_a_resumed_run_continues_its_csv(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    job = plan(tiny("logger=[csv,tensorboard]", "recipe.epochs=3", "trainer.block_length=4"))
    stop_after(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        train(job)
    train(job)
    run = RunFolder(job.folder)
    found = rows(run)
    assert [int(row["step"]) for row in found] == [row.images for row in run.rows()] + [run.rows()[-1].images]
    assert [float(row["train/loss"]) for row in found[:3]] == [row.metrics["train/loss"] for row in run.rows()]
    assert found[-1]["test/top1_accuracy"] and not found[0]["test/top1_accuracy"]
    assert list(run.path.glob("events.out.tfevents.*"))


def test_rows_of_an_interrupted_epoch_are_dropped(own_folder: Path) -> None:
    (own_folder / "metrics.csv").write_text("step,loss\n10,1.0\n20,0.5\n\x00\n")
    logger = csv_logger(own_folder, purge_step=11)
    logger.log_metrics({"loss": 0.4}, step=20)
    logger.save()
    assert (own_folder / "metrics.csv").read_text().split() == ["loss,step", "1.0,10", "0.4,20"]


@pytest.mark.parametrize(
    "word",
    ["logger.mlflow.tracking_uri=https://me:secret@host/x", "logger.mlflow.tracking_uri=https://token@host"],
)
def test_a_password_is_no_option(word: str, tiny: Tiny) -> None:
    with pytest.raises(UserError, match="records hold all options") as caught:
        plan(tiny("logger=mlflow", word))
    assert "secret" not in str(caught.value) and "token@" not in str(caught.value)
    assert not Path("outputs").exists()


def test_a_users_own_logger_must_not_hold_a_key(tiny: Tiny) -> None:
    Path("mine/logger").mkdir(parents=True)
    Path("mine/logger/own.yaml").write_text("own: {_target_: pytorch_lightning.loggers.CSVLogger, api_key: abc}\n")
    with pytest.raises(UserError, match=r"^logger.own.api_key: records hold all options"):
        plan(tiny("logger=own", config_dir="mine"))


def test_a_service_that_is_not_installed_is_one_line(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addons, "find_spec", lambda name: None)
    for name in ("mlflow", "wandb", "aim"):
        with pytest.raises(NotInstalledError, match=f"^logger={name}: its package is not installed: pip install "):
            plan(tiny(f"logger={name}"))


@pytest.mark.slow
def test_mlflow_keeps_a_file_without_a_server(tiny: Tiny) -> None:
    pytest.importorskip("mlflow")
    check_mlflow(tiny, "sqlite:///outputs/mlflow.db")


@pytest.fixture
def server(own_folder: Path) -> Iterator[str]:
    """A server of MLflow on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    options = [f"--port={port}", "--workers=1", "--backend-store-uri=sqlite:///server.db"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *options], env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    )

    def answers() -> bool:
        assert process.poll() is None
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(answers, 180)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait()


@pytest.mark.slow
@pytest.mark.skipif(find_spec("flask") is None or find_spec("mlflow") is None, reason="MLflow's server is absent")
def test_mlflow_logs_to_a_server(server: str, tiny: Tiny) -> None:
    check_mlflow(tiny, server, f"logger.mlflow.tracking_uri={server}")


def check_mlflow(tiny: Tiny, address: str, *words: str) -> None:
    """Check that a sweep is in MLflow, named as its folders are."""
    assert main(["train", "-m", *TINY, "logger=[csv,mlflow]", *words, "seed=0,1"]) == 0
    from mlflow.tracking import MlflowClient

    client = MlflowClient(address)
    experiment = client.get_experiment_by_name("attnbench")
    assert experiment is not None
    found = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    runs = find_runs(Path("outputs"))
    assert set(found) == {f"{run.path.parent.name}/{run.path.name}" for run in runs}
    for run in runs:
        logged = found[f"{run.path.parent.name}/{run.path.name}"]
        assert logged.info.status == "FINISHED"
        assert logged.data.params["recipe.lr"] == "0.4"
        history = client.get_metric_history(logged.info.run_id, "train/loss")
        assert [point.step for point in history] == [row.images for row in run.rows()]


@pytest.mark.slow
def test_aim_keeps_a_repository_in_the_output_folder() -> None:
    aim = pytest.importorskip("aim")
    assert main(["train", "-m", *TINY, "logger=[csv,aim]", "seed=0,1"]) == 0
    index = pytest.importorskip("aim.sdk.index_manager").RepoIndexManager.get_index_manager(aim.Repo("outputs"))
    for each in aim.Repo("outputs").list_all_runs():
        index.index(each)  # as `aim up` does, before it shows a run
    logged = {run.name: run for run in aim.Repo("outputs").iter_runs()}
    runs = find_runs(Path("outputs"))
    assert set(logged) == {f"{run.path.parent.name}/{run.path.name}" for run in runs}
    for run in runs:
        found = logged[f"{run.path.parent.name}/{run.path.name}"]
        assert found.experiment == "attnbench" and not found.active
        assert found["hparams"]["recipe.lr"] == 0.4
        series = {(metric.context.to_dict().get("subset"), metric.name): metric for metric in found.metrics()}
        steps, (values,) = series["train", "loss"].data.view("val").items_list()
        kept = dict(zip(steps, values, strict=True))
        assert kept == pytest.approx({row.images: row.metrics["train/loss"] for row in run.rows()})
