"""Searches: what is tried next depends on the study alone, and trials end as their runs do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.config.compose import Composer
from attnbench.config.sweep import expand
from attnbench.errors import UserError
from attnbench.launch.scheduler import Task
from attnbench.runs.epoch_rows import EpochRow
from attnbench.runs.folder import RunFolder
from attnbench.tune.options import read_request
from attnbench.tune.search import Search, Trial, open_storage
from attnbench.tune.stopping import STOPPED, TrialWatch
from attnbench.tune.tuning import make_methods
from tests.conftest import TINY
from tests.runs.samples import make_record

optuna = pytest.importorskip("optuna")
EPOCHS = 4
Start = Callable[..., list[Search]]


@pytest.fixture
def start() -> Start:
    """Open the searches of attentions under options; again with the same storage, as after an interruption."""
    storage = optuna.storages.InMemoryStorage()

    def opened(*words: str, attention: str = "none") -> list[Search]:
        request = read_request(["tune.trials=4", "tune.startup=2", *words], None)
        sweep = expand([*TINY, f"attention={attention}", f"recipe.epochs={EPOCHS}"])
        methods = make_methods(request.space, sweep, Composer())
        return [Search(method, request.options, storage, method.name) for method in methods]

    return opened


def train(trial: Trial, *accuracies: float, status: str = "finished") -> None:
    """Leave behind what a trial's runs would."""
    for job in trial.jobs:
        run = RunFolder(job.folder)
        run.path.mkdir(parents=True, exist_ok=True)
        metrics = {"train/loss": 1.0, "train/seconds": 1.0}
        run.write_rows(
            [
                EpochRow(epoch=number, images=number, metrics={**metrics, "val/top1_accuracy": accuracy})
                for number, accuracy in enumerate(accuracies, 1)
            ]
        )
        best = {"val/best/top1_accuracy": max(accuracies)} if status == "finished" else {}
        run.write_record(make_record(status, **best))


def test_all_methods_begin_with_the_same_values(start: Start) -> None:
    none, ggam = start(attention="none,ggam")
    first = [[trial.chosen for trial in search.next_trials(2, Composer())] for search in (none, ggam)]
    assert first[0] == first[1]
    assert first[0][0] != first[0][1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["recipe.lr=0.1"], r"recipe\.lr=0\.1: the search space has recipe\.lr; leave it out here"),
        (["recipe.lr=0.1,0.2"], r"recipe\.lr=0\.1: the search space has recipe\.lr"),
        (["task=detection", "data=cluttered_digits_boxes", "backbone=resnet18"], "takes task=classification alone"),
    ],
)
def test_what_cannot_be_tuned_is_refused(words: list[str], message: str) -> None:
    request = read_request(["search=lr"], None)
    with pytest.raises(UserError, match=message):
        make_methods(request.space, expand(words), Composer())


def test_epochs_may_be_searched(own_folder: Path) -> None:
    (own_folder / "search").mkdir()
    (own_folder / "search" / "long.yaml").write_text("recipe.epochs: {int: [2, 9]}\n")
    request = read_request(["tune.trials=4", "search=long"], str(own_folder))
    words = [word for word in TINY if not word.startswith("recipe.epochs")]
    (method,) = make_methods(request.space, expand(words), Composer(str(own_folder)))
    assert method.epochs == 9
    search = Search(method, request.options, optuna.storages.InMemoryStorage(), "long")
    trials = search.next_trials(4, Composer(str(own_folder)))
    assert [f"recipe.epochs={trial.epochs}" for trial in trials] == [trial.chosen[0] for trial in trials]
    assert len({trial.epochs for trial in trials}) > 1


def test_trials_leave_the_test_set_alone(start: Start) -> None:
    (search,) = start("tune.seeds=2")
    (trial,) = search.next_trials(1, Composer())
    assert [job.seed for job in trial.jobs] == [0, 1]
    assert not any(job.config["test"] for job in trial.jobs)
    assert trial.jobs[0].identity != search.method.job.identity


@pytest.mark.slow
def test_a_search_goes_on_as_if_it_had_not_been_interrupted(start: Start) -> None:
    composer = Composer()

    def run(search: Search, reopen: bool) -> list[list[str]]:
        chosen: list[list[str]] = []
        while trials := search.next_trials(1, composer):
            if reopen:  # begun, and then interrupted
                (search,) = start()
                (again,) = search.next_trials(1, composer)
                assert (again.chosen, again.jobs) == (trials[0].chosen, trials[0].jobs)
                trials = [again]
            train(trials[0], 0.1, 0.1, 0.1, 0.1 * (1 + len(chosen) % 3))
            assert trials[0].settle()
            chosen.append(trials[0].chosen)
        return chosen

    (search,) = start()
    interrupted = run(search, reopen=True)
    assert len(interrupted) == len(set(map(tuple, interrupted))) == 4
    storage = optuna.storages.InMemoryStorage()
    assert run(Search(search.method, search.options, storage, "whole"), reopen=False) == interrupted


def test_a_larger_budget_adds_trials(start: Start) -> None:
    (search,) = start("tune.trials=1")
    (trial,) = search.next_trials(9, Composer())
    train(trial, 0.5)
    assert trial.settle()
    assert not search.next_trials(9, Composer())
    (search,) = start("tune.trials=3")
    assert len(search.next_trials(9, Composer())) == 2


def test_the_value_is_the_mean_of_the_best_accuracies(start: Start) -> None:
    (search,) = start("tune.seeds=2")
    better, worse, diverged, failed = search.next_trials(4, Composer())
    train(better, 0.2, 0.8, 0.4, 0.6)
    train(worse, 0.3, 0.3, 0.3, 0.7)
    train(diverged, 0.3, status="diverged")
    train(failed, 0.3, status="failed")
    assert [trial.settle() for trial in (better, worse, diverged, failed)] == [True, True, True, False]
    assert search.counts() == {"complete": 2, "pruned": 0, "fail": 1, "running": 1}
    assert search.best is not None and search.best.value == pytest.approx(0.8)
    assert search.winner() == better.chosen
    assert better.outcome() == "validation accuracy 80.00%"
    assert diverged.outcome() == "diverged"
    assert search.epochs_trained() == 2 * (4 + 4)


def test_without_a_result_there_is_no_winner(start: Start) -> None:
    (search,) = start()
    with pytest.raises(UserError, match="none: none of its trials has a result"):
        search.winner()


class Stoppable:
    """A process that a test ends."""

    interrupts, reason, waits_for = 0, "", ""

    def poll(self) -> int | None:
        return 130 if self.interrupts else None

    def interrupt(self) -> None:
        self.interrupts += 1

    def kill_after(self, seconds: float) -> None:
        raise AssertionError("it stops when it is asked to")


def running(trial: Trial) -> list[Task]:
    """Return the tasks of a trial, the first one running and the others waiting."""
    tasks = [Task(job) for job in trial.jobs]
    tasks[0].state, tasks[0].process = "running", Stoppable()
    return tasks


def test_a_trial_below_the_median_is_stopped(start: Start) -> None:
    (search,) = start("tune.seeds=2", "tune.grace=0.25")
    for accuracy in (0.5, 0.6):
        (trial,) = search.next_trials(1, Composer())
        train(trial, *[accuracy] * EPOCHS)
        assert trial.settle()
    (trial,) = search.next_trials(1, Composer())
    watch, tasks = TrialWatch([trial], startup=2), running(trial)
    process = tasks[0].process
    assert isinstance(process, Stoppable)
    train(trial, 0.1, status="running")
    watch.look(tasks)
    assert not trial.stopped  # within the grace
    train(trial, 0.1, 0.2, status="running")
    watch.look(tasks)
    watch.look(tasks)
    assert (trial.stopped, process.interrupts) == (True, 1)
    assert trial.outcome() == "stopped after 2 epochs"
    assert (tasks[1].state, tasks[1].reason) == ("interrupted", STOPPED)
    tasks[0].state = "failed"  # to the scheduler, as its process ended with an error
    watch.look(tasks)
    assert (tasks[0].state, tasks[0].reason) == ("interrupted", STOPPED)
    assert search.counts()["pruned"] == 1


def test_first_trials_good_ones_and_last_epochs_are_not_stopped(start: Start) -> None:
    (search,) = start("tune.startup=1", "tune.grace=0")
    first, bad, good = search.next_trials(3, Composer())
    train(first, *[0.5] * EPOCHS)
    assert first.settle()
    train(good, 0.6, 0.7, status="running")
    train(bad, *[0.1] * EPOCHS, status="running")
    watch = TrialWatch([bad, good], startup=1)
    watch.look([*running(bad), *running(good)])
    assert not bad.stopped and not good.stopped
    late = replace(bad, handle=search.study.ask())
    train(late, 0.1, status="running")
    TrialWatch([late], startup=9).look(running(late))
    assert not late.stopped


def test_a_storage_that_cannot_be_opened_is_one_line_without_its_password() -> None:
    for address in ("sqlite:////no/such/folder/study.db", "nonsense", "nonsense://user:secret@host/x"):
        with pytest.raises(UserError) as caught:
            open_storage(address)
        assert str(caught.value).startswith("tune.storage: cannot be opened: ")
        assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
