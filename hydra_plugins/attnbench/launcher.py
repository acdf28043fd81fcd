"""attnbench's scheduler as a Hydra launcher, for other sweepers."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class AttnbenchLauncher(Launcher):
    """Runs each job in its own process, several at a time; finished runs are not trained again."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra = config.hydra

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from attnbench.cli.hydra import launch

        common = list(self.hydra.overrides.hydra)
        return launch([[*common, *overrides] for overrides in job_overrides], self.hydra)
