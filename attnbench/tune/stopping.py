"""Stopping the runs of trials that are worse than others at the same epoch, while they train."""

from collections.abc import Sequence

from attnbench.launch.scheduler import Task
from attnbench.tune.search import Trial

STOPPED = "stopped: other trials are better at this epoch"


class TrialWatch:
    """Reports trials to their studies while the scheduler runs them, and stops those that a study gives up.

    Args:
        trials: whose runs the scheduler runs.
        startup: trials of a method with a lower number are never stopped.
    """

    def __init__(self, trials: Sequence[Trial], startup: int) -> None:
        self.trials, self.startup = trials, startup
        self._interrupted: set[int] = set()

    def look(self, tasks: Sequence[Task]) -> None:
        """Look at all trials once; the scheduler calls this after each look at its tasks."""
        for trial in self.trials:
            if not trial.stopped and self._is_given_up(trial):
                trial.stop()
            if trial.stopped:
                folders = {job.folder for job in trial.jobs}
                self._end([task for task in tasks if task.job.folder in folders])

    def _is_given_up(self, trial: Trial) -> bool:
        """Return whether the study gives a trial up; after its last epoch there is nothing to be saved."""
        new = trial.report()
        may_end = trial.handle.number >= self.startup and new and new[-1] < trial.epochs
        return bool(may_end and trial.handle.should_prune())

    def _end(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.state == "running" and task.process is not None and id(task) not in self._interrupted:
                self._interrupted.add(id(task))
                task.process.interrupt()
            elif task.state in ("waiting", "elsewhere", "failed", "interrupted"):
                task.state, task.reason = "interrupted", STOPPED
