"""Where runs are done: the choices of the group `launch`, each of which makes an engine for the scheduler."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from attnbench.config.validate import RunConfig
from attnbench.construct import construct_as
from attnbench.errors import UserError
from attnbench.launch.engine import Engine
from attnbench.runs.job import Job
from attnbench.runs.sweeps import SweepFolder


class Launcher(ABC):
    """A choice of the group `launch`: where runs are done. Its options are those of the choice.

    Attributes:
        name: of the engine, as a sweep's record has it.
        address: of the cluster, where it has one.
    """

    name: ClassVar[str]
    address: str = ""

    @abstractmethod
    def prepare(self) -> None:
        """Check that the engine is there, and begin what takes long, while the jobs are still being checked.

        Raises:
            UserError: a package or a program that the engine needs is missing.
        """

    def slots(self, jobs: Sequence[Job]) -> int:
        """Return how many jobs run at a time: `sweep.jobs`, or as many as there is room for."""
        return wanted_slots(jobs[0].config) or self.automatic_slots(jobs)

    def automatic_slots(self, jobs: Sequence[Job]) -> int:
        """Return how many jobs run at a time where the user does not say; on a cluster, all of them."""
        return len(jobs)

    @abstractmethod
    def engine(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> Engine:
        """Make the engine.

        Args:
            jobs: of the sweep.
            slots: how many jobs run at a time.
            sweep: the sweep that the jobs belong to.

        Raises:
            UserError: the engine cannot be reached.
        """


def most_devices(jobs: Sequence[Job]) -> int:
    """Return the devices of the job that uses most, which is what the engine keeps ready for each that runs."""
    return max((int(job.config["trainer"]["devices"]) for job in jobs), default=1)


def wanted_slots(config: RunConfig) -> int | None:
    """Return `sweep.jobs`, or None for `auto`. Raises `UserError`."""
    wanted = config["sweep"]["jobs"]
    if wanted != "auto" and int(wanted) < 1:
        raise UserError(f"sweep.jobs={wanted}: must be at least 1, or auto")
    return None if wanted == "auto" else int(wanted)


LOCAL = {"_target_": "attnbench.launch.local.LocalLauncher", "jobs_per_device": "auto"}
"""The group where a configuration lacks it: one of an earlier version, or of the user's own primary config."""


def launcher_of(configs: Sequence[RunConfig]) -> Launcher:
    """Build the launcher of a sweep. Raises `UserError` if an option is wrong, or if the runs name several."""
    nodes = [config.values.get("launch", LOCAL) for config in configs]
    if any(node != nodes[0] for node in nodes):
        raise UserError("launch: the runs of a sweep are launched in one way; give launch and its options one value")
    return construct_as(Launcher, "launch", nodes[0])  # type: ignore[type-abstract]  # only for isinstance
