"""launch=ray: each run of a sweep as an actor of a Ray cluster, which goes on without the command that started it."""

import hashlib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.errors import NotInstalledError, OptionError, UserError, require
from attnbench.exit_codes import DONE, FAILED
from attnbench.launch.engine import GRACE_SECONDS
from attnbench.launch.launcher import Launcher, most_devices
from attnbench.launch.ray_actor import RunActor
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.owner import owner_of
from attnbench.runs.sweeps import SweepFolder

NAME = "ray"
NAMESPACE = "attnbench"
THREADS = 16
"""Calls that an actor answers at once: most are of those who wait for its end."""
WAITS_FOR = "resources"
"""What an actor waits for that does not own its run yet."""
ANSWER_SECONDS = 3.0
"""Time in which an actor answers that has what it needs."""


class RayLauncher(Launcher):
    """Runs jobs as actors of a Ray cluster; see `configs/launch/ray.yaml` for the options."""

    name = NAME

    def __init__(
        self,
        address: str | None = None,
        cpus: float = 1.0,
        gpus: float = 0.0,
        resources: Sequence[str] = (),
        retries: int = 3,
    ) -> None:
        require(cpus >= 0, "cpus", cpus, "must not be negative")
        require(gpus >= 0, "gpus", gpus, "must not be negative")
        require(gpus <= 1 or gpus == int(gpus), "gpus", gpus, "above 1 must be a whole number")
        require(retries >= 0, "retries", retries, "must not be negative")
        self.address = address or ""
        self.cpus, self.gpus, self.retries = cpus, gpus, retries
        self.resources = dict(_resource(text) for text in resources)

    def prepare(self) -> None:
        """Check that Ray is there. Raises `UserError`."""
        imported()

    def engine(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> "RayEngine":
        """Connect to the cluster, or start one. Raises `UserError` if none answers at the address."""
        connect(self.address)
        return RayEngine(self, slots * most_devices(jobs), sweep)

    def needs(self, devices: int) -> dict[str, Any]:
        """Return what a run reserves, as options of an actor."""
        amounts = {"num_cpus": self.cpus * devices, "num_gpus": self.gpus * devices}
        return {**amounts, "resources": {name: amount * devices for name, amount in self.resources.items()}}


def _resource(text: str) -> tuple[str, float]:
    name, _, amount = text.partition("=")
    try:
        return name, float(amount)
    except ValueError:
        raise OptionError("resources", text, "must be written name=amount") from None


def imported() -> Any:
    """Return the module ray. Raises `UserError` if it is not installed."""
    try:
        import ray
    except ImportError:
        raise NotInstalledError("launch=ray: needs Ray: pip install 'attnbench[ray]'") from None
    return ray


def connect(address: str) -> Any:
    """Connect to a cluster, or without an address start one on this machine; return the module ray.

    Raises:
        UserError: no cluster answers.
    """
    ray = imported()
    if not ray.is_initialized():
        where = {"address": address} if address else {"address": "local", "include_dashboard": False}
        try:
            ray.init(**where, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), "")
            raise UserError(f"launch.address={address or 'null'}: no Ray cluster: {reason}") from error
    return ray


def actor_name(folder: Path) -> str:
    """Return the name of the actor of a run, the same for everyone who sees the run's folder."""
    return f"attnbench-{hashlib.sha256(os.fspath(folder).encode()).hexdigest()[:16]}"


class RayProcess:
    """A run of the cluster.

    Args:
        actor: that does it.
        folder: of the run.
    """

    def __init__(self, actor: Any, folder: Path) -> None:
        self.actor, self.folder = actor, folder
        self.end = actor.ended.remote()
        self.reason = ""

    def poll(self) -> int | None:
        """Return the exit status of the run's process; None while it runs or waits for resources."""
        ray = imported()
        if not ray.wait([self.end], timeout=0)[0]:
            return None
        try:
            return int(ray.get(self.end))
        except ray.exceptions.RayError as error:
            if readable(RunFolder(self.folder).finished, False):
                return DONE
            self.reason = f"Ray: {next(iter(str(error).splitlines()), type(error).__name__)}"
            return FAILED

    @property
    def waits_for(self) -> str:
        """What the run waits for: resources, until its process owns its folder."""
        return "" if owner_of(self.folder) is not None else WAITS_FOR

    def interrupt(self) -> None:
        """Ask the run to stop so that it can be resumed."""
        self.actor.stop.remote()

    def kill_after(self, seconds: float) -> None:
        """Wait for the run's end for at most this time, then end the actor, whose process ends with it."""
        ray = imported()
        if not ray.wait([self.actor.there.remote()], timeout=min(seconds, ANSWER_SECONDS))[0]:
            seconds = 0  # it waits for resources and has not begun
        ray.wait([self.end], timeout=seconds)
        ray.kill(self.actor)


class RayEngine:
    """Starts an actor for each job; a run that has an actor already is watched.

    Args:
        launcher: with the options.
        slots: devices of the jobs that run at a time.
        sweep: that notes the actors' names.
    """

    gpus = 0

    def __init__(self, launcher: RayLauncher, slots: int, sweep: SweepFolder) -> None:
        self.launcher, self.slots, self.sweep = launcher, slots, sweep
        self.detaches = bool(launcher.address)  # a cluster of our own ends with us
        self.started: dict[Path, str] = {}

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> RayProcess:
        """Reserve what the job needs, which takes until it is free, and start it there."""
        ray, folder, retries = imported(), job_file.parent, self.launcher.retries
        actor = (
            ray.remote(RunActor)
            .options(
                name=actor_name(folder),
                get_if_exists=True,
                lifetime="detached",
                max_restarts=retries,
                max_task_retries=-1,  # who waits for the end waits on when the actor is started again
                max_concurrency=THREADS,
                **self.launcher.needs(len(slots)),
            )
            .remote(os.fspath(job_file), os.fspath(log_file), os.fspath(Path.cwd()), retries)
        )
        self.started[folder] = actor_name(folder)
        return RayProcess(actor, folder)

    def submit(self) -> None:
        """Note the names of new actors in the sweep's record, by which others find them."""
        if self.started and self.detaches:
            self.sweep.note_tasks(self.started)
        self.started = {}


class RayQueue:
    """The actors of a cluster. address: of the cluster."""

    def __init__(self, address: str) -> None:
        self.address = address

    def open_tasks(self) -> Mapping[str, str]:
        """Return the runs that have an actor. Those without a process wait for resources. Raises `UserError`."""
        connect(self.address)
        from ray.util import list_named_actors

        return dict.fromkeys(list_named_actors(), WAITS_FOR)

    def endings(self, tasks: Iterable[str]) -> Mapping[str, str]:
        """Return nothing: an actor that has ended is forgotten."""
        return {}

    def cancel(self, tasks: Iterable[str]) -> None:
        """Stop runs so that they can be resumed, and wait until they have. Raises `UserError`."""
        ray = connect(self.address)
        processes = [RayProcess(ray.get_actor(task), Path()) for task in tasks]
        for process in processes:
            process.interrupt()
        for process in processes:
            process.kill_after(GRACE_SECONDS)
