"""launch=slurm: the runs of a sweep as an array of jobs in a Slurm cluster's queue, submitted through submitit."""

import logging
import os
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.errors import NotInstalledError, UserError, require
from attnbench.exit_codes import DONE, FAILED, INTERRUPTED
from attnbench.launch.launcher import Launcher, most_devices
from attnbench.launch.slurm_queue import ITS_TURN, SlurmJob, SlurmQueue, ask, last_error
from attnbench.launch.slurm_task import SlurmTask
from attnbench.runs.files import make_folder, readable
from attnbench.runs.folder import RunFolder
from attnbench.runs.job import Job
from attnbench.runs.record import FinishedRecord
from attnbench.runs.sweeps import SweepFolder, find_sweeps

NAME = "slurm"
LOOK_SECONDS = 5.0
"""Time between two questions to the queue."""
SETTLE_SECONDS = 10.0
"""Time in which a run's record is seen here after its job has left the queue: shared folders lag."""
NOTICE_SECONDS = 90
"""Time before its limit at which a job is told to stop."""
MOST_RESTARTS = 1000
"""Times that submitit queues a job again; `SlurmTask` gives up long before if nothing comes of it."""
SMALL_ARRAY = 100
"""Jobs of an array that any cluster allows."""
PROGRAMS = ("sbatch", "squeue", "srun", "scancel", "scontrol")
OPTION = re.compile(r"--(?P<name>[a-z][a-z-]*)(=(?P<value>[^\n]+))?")
OURS = (
    "array", "chdir", "error", "input", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "parsable", "requeue", "no-requeue", "signal", "test-only", "wait", "wrap",
)  # fmt: skip
"""Options of sbatch that attnbench sets itself or that would break it."""
KEYS = {"cpus-per-task": "cpus", "mem": "memory"} | {
    name: name for name in ("partition", "account", "qos", "constraint", "gres", "time")
}
"""Options of sbatch that have a key of their own."""
logger = logging.getLogger(__name__)


class SlurmLauncher(Launcher):
    """Runs jobs in a Slurm cluster; see `configs/launch/slurm.yaml` for the options."""

    name = NAME

    def __init__(
        self,
        partition: str | None = None,
        account: str | None = None,
        qos: str | None = None,
        constraint: str | None = None,
        gres: str | None = None,
        cpus: int | None = None,
        memory: str | None = None,
        time: int = 60,
        jobs_per_task: int = 1,
        options: Sequence[str] = (),
    ) -> None:
        words = {"partition": partition, "account": account, "qos": qos, "constraint": constraint, "gres": gres}
        for key, value in {**words, "memory": memory}.items():
            require(value is None or bool(re.fullmatch(r"\S+", value)), key, value, "must be one word, or null")
        require(cpus is None or cpus >= 1, "cpus", cpus, "must be at least 1, or null")
        require(time >= 1, "time", time, "must be at least 1 minute")
        require(jobs_per_task >= 1, "jobs_per_task", jobs_per_task, "must be at least 1")
        self.jobs_per_task = jobs_per_task
        more = {"requeue": True, "mem": memory, **_parsed(options)}
        self.parameters: dict[str, Any] = {
            **words,
            "time": time,
            "nodes": 1,
            "ntasks_per_node": 1,
            "cpus_per_task": cpus,
            "signal_delay_s": NOTICE_SECONDS,
            "stderr_to_stdout": True,
            "wckey": None,
            "additional_parameters": {key: value for key, value in more.items() if value is not None},
        }

    def prepare(self) -> None:
        """Check that submitit and Slurm's commands are there. Raises `UserError`."""
        try:
            import submitit  # noqa: F401
        except ImportError:
            raise NotInstalledError("launch=slurm: needs submitit: pip install 'attnbench[slurm]'") from None
        if missing := [program for program in PROGRAMS if shutil.which(program) is None]:
            raise UserError(f"launch=slurm: {missing[0]} is not on this machine; use a login node of the cluster")

    def engine(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> "SlurmEngine":
        """Make the engine for a sweep's jobs."""
        return SlurmEngine(self, len(jobs) * most_devices(jobs), slots, sweep)


def _parsed(options: Sequence[str]) -> dict[str, Any]:
    """Return options of sbatch by name. Raises `OptionError` for those that it does not take, or that have a key."""
    parsed: dict[str, Any] = {}
    for text in options:
        match = OPTION.fullmatch(text)
        require(match is not None, "options", text, "must be written --name=value or --name")
        assert match is not None
        name = match["name"]
        require(name not in OURS, "options", text, "attnbench sets it itself")
        require(name not in KEYS, "options", text, f"use launch.{KEYS.get(name)}")
        parsed[name] = True if match["value"] is None else match["value"]
    return parsed


class SlurmProcess:
    """A run in Slurm's queue.

    Args:
        engine: that looks at the queue for all of its jobs.
        folder: of the run.
        devices: of the run.
        task: the job that does it, `<job>_<number>`; empty until it is submitted.
        waits_for: what the job waits for, as the queue says.
        again: whether the record of a finished run is one of an earlier training, until it changes.
    """

    def __init__(
        self, engine: "SlurmEngine", folder: Path, devices: int, task: str, waits_for: str, again: bool
    ) -> None:
        self.engine, self.folder, self.devices, self.task, self.waits_for = engine, folder, devices, task, waits_for
        self.earlier = self._stamp() if again else None
        self.status: int | None = None
        self.reason = ""
        self.gone_since: float | None = None

    def poll(self) -> int | None:
        """Return the exit status once the run is finished or its job has ended."""
        self.engine.look()
        return self.status

    def update(self, jobs: Mapping[str, SlurmJob]) -> None:
        """Find out from the queue whether the run goes on."""
        job = jobs.get(self.task)
        goes_on = job is not None and job.open
        self.waits_for = job.waits_for if job is not None else ""
        if self.waits_for:
            return
        if self._finished():
            self.status = DONE
        elif goes_on:
            self.gone_since = None
        elif self.gone_since is None:
            self.gone_since = time.monotonic()
        elif time.monotonic() - self.gone_since >= SETTLE_SECONDS:
            ending = job.state if job is not None else self.engine.queue.endings([self.task]).get(self.task, "")
            self.reason = f"Slurm's job {self.task}: {ending.lower() or 'left the queue'}"
            self.status = INTERRUPTED if ending == "CANCELLED" else FAILED

    def _finished(self) -> bool:
        record = readable(RunFolder(self.folder).record, None)
        return isinstance(record, FinishedRecord) and (self.earlier is None or self._stamp() != self.earlier)

    def _stamp(self) -> int | None:
        """Return when the record was written; None if there is none."""
        file = RunFolder(self.folder).record_file
        return file.stat().st_mtime_ns if file.is_file() else None

    def interrupt(self) -> None:
        """Cancel the job."""
        self.engine.queue.cancel([self.task])

    def kill_after(self, seconds: float) -> None:
        """Leave it to Slurm, which kills what does not stop."""


class SlurmEngine:
    """Gathers jobs, submits them as an array, and looks at the queue. What is in the queue is not submitted again.

    Args:
        launcher: with the options.
        slots: for all jobs, as the queue takes them all at once.
        at_a_time: how many jobs run at a time.
        sweep: that notes which job of the queue does which run.
    """

    detaches = True
    gpus = 0

    def __init__(self, launcher: SlurmLauncher, slots: int, at_a_time: int, sweep: SweepFolder) -> None:
        self.launcher, self.slots, self.at_a_time, self.sweep = launcher, slots, at_a_time, sweep
        self.queue = SlurmQueue()
        self.processes: list[SlurmProcess] = []
        self.gathered: list[SlurmProcess] = []
        self.tasks = noted_tasks(sweep.output)
        self.jobs = self.queue.jobs() if self.tasks else {}
        self.looked = time.monotonic()
        self.complained = False

    def start(self, job_file: Path, log_file: Path, slots: Sequence[int]) -> SlurmProcess:
        """Gather a job, unless the queue has it from before."""
        folder = job_file.parent
        job = self.jobs.get(task := self.tasks.get(folder, ""))
        known = (task, job.waits_for) if job is not None and job.open else ("", ITS_TURN)
        process = SlurmProcess(self, folder, len(slots), *known, Job.load(job_file).again)
        (self.processes if process.task else self.gathered).append(process)
        return process

    def submit(self) -> None:
        """Submit what was gathered: one array for all jobs of as many devices, several where it would be too long."""
        by_devices: dict[int, list[SlurmProcess]] = defaultdict(list)
        for process in self.gathered:
            by_devices[process.devices].append(process)
        self.processes += self.gathered
        self.gathered = []
        for processes in by_devices.values():
            step = self.launcher.jobs_per_task
            packs = [processes[start : start + step] for start in range(0, len(processes), step)]
            longest = longest_array() if len(packs) > SMALL_ARRAY else SMALL_ARRAY
            for start in range(0, len(packs), longest):
                self._submit_array(packs[start : start + longest])
        if by_devices:
            noted = {process.folder: process.task for process in self.processes}
            self.sweep.note_tasks(noted)
            self.tasks |= noted

    def _submit_array(self, packs: Sequence[Sequence[SlurmProcess]]) -> None:
        import submitit

        make_folder(self.sweep.path / NAME)
        executor = submitit.SlurmExecutor(self.sweep.path / NAME, max_num_timeout=MOST_RESTARTS)
        parallel = max(1, self.at_a_time // self.launcher.jobs_per_task)
        name = f"attnbench-{self.sweep.id}"
        executor.update_parameters(**self.launcher.parameters, job_name=name, array_parallelism=parallel)
        tasks = [SlurmTask([os.fspath(RunFolder(process.folder).job_file) for process in pack]) for pack in packs]
        try:
            with executor.batch():
                jobs = [executor.submit(task) for task in tasks]
        except FileNotFoundError as error:
            raise UserError(f"launch=slurm: {error.filename}: is not on this machine") from error
        except submitit.core.utils.FailedJobError as error:
            raise UserError(f"launch=slurm: sbatch: {last_error(str(error))}") from error
        for pack, job in zip(packs, jobs, strict=True):
            for process in pack:
                process.task = job.job_id

    def look(self) -> None:
        """Look at the queue, unless that was done lately, and find out which runs have ended."""
        if time.monotonic() - self.looked < LOOK_SECONDS:
            return
        self.looked = time.monotonic()
        try:
            self.jobs = self.queue.jobs()
        except UserError as error:  # the controller is restarted, perhaps; the jobs go on
            if not self.complained:
                logger.warning("%s; the runs go on, and Slurm is asked again", error)
            self.complained = True
            return
        self.complained = False
        for process in self.processes:
            process.update(self.jobs)
        self.processes = [process for process in self.processes if process.status is None]


def noted_tasks(output: Path) -> dict[Path, str]:
    """Return the jobs of Slurm's queue by the folders of their runs, as the sweeps of an output folder note them."""
    tasks: dict[Path, str] = {}
    for sweep in reversed(find_sweeps(output)):  # the last sweep knows best
        record = readable(sweep.record, None)
        if record is not None and record.engine == NAME:
            tasks |= {sweep.run_folder(run): run.task for run in record.runs if run.task}
    return tasks


def longest_array() -> int:
    """Return the most jobs that one of the cluster's arrays has."""
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", ask(("scontrol", "show", "config")), re.MULTILINE)
    return max(1, int(found[1]) - 1) if found else SMALL_ARRAY
