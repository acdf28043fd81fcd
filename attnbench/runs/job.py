"""A run to be trained, or to be explained, as plain data that can be sent to another process as a file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from attnbench.config.validate import RunConfig
from attnbench.errors import UserError
from attnbench.runs.files import damaged, read_json, shown, write_json
from attnbench.runs.json_objects import read_object, write_object

JOB_FILE = "job.json"
"""A job's file in the run's folder."""


@dataclass(frozen=True)
class Job:
    """One run to be done.

    Attributes:
        config: of the run.
        identity: the hash that names the job.
        folder: of the job, absolute: the run's, or that of an explanation.
        explains: the trained run that is to be explained, and how (see `attnbench.explain.jobs`); None where the run
            is to be trained.
    """

    config: RunConfig
    identity: str
    folder: Path
    explains: dict[str, Any] | None = None

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def again(self) -> bool:
        """Whether a finished run is archived and trained again."""
        return bool(self.config["run"]["again"])

    @property
    def on_divergence(self) -> str:
        """What happens where loss or weights are not finite: `stop` or `continue`."""
        return str(self.config["run"].get("on_divergence", "stop"))  # jobs of earlier versions lack it

    def with_seed(self, seed: int) -> "Job":
        """Return the job of the same configuration with another seed, which is no part of the identity."""
        config = replace(self.config, values={**self.config.values, "seed": seed})
        return Job(config, self.identity, self.folder.parent / f"seed{seed}")

    def resumed(self) -> "Job":
        """Return the job as it goes on after it was begun: `run.again` has been heeded."""
        if not self.again:
            return self
        values = {**self.config.values, "run": {**self.config["run"], "again": False}}
        return replace(self, config=replace(self.config, values=values))

    def save(self, path: Path) -> None:
        """Write the job to a file that `load` reads."""
        config = JobConfig(self.config.values, self.config.choices, self.config.identity)
        write_json(path, write_object(JobFile(config, self.identity, str(self.folder), self.explains)))

    @classmethod
    def load(cls, path: Path) -> "Job":
        """Read a job from a file that `save` wrote. Raises `UserError` if there is none, or it is damaged."""
        content = read_json(path)
        if content is None:
            raise UserError(f"{shown(path)}: there is no such file; a job's file is {JOB_FILE} in the run's folder")
        job = read_object(JobFile, content, shown(path))
        if type(job.config.values.get("seed")) is not int:
            raise damaged(shown(path), "config.values.seed must be a whole number")
        config = RunConfig(job.config.values, job.config.choices, job.config.identity)
        return cls(config, job.identity, Path(job.folder), job.explains)


@dataclass(frozen=True)
class JobConfig:
    """The configuration in a job's file; the fields are those of `RunConfig`."""

    values: dict[str, Any]
    choices: dict[str, str]
    identity: dict[str, Any]


@dataclass(frozen=True)
class JobFile:
    """The content of a job's file."""

    config: JobConfig
    identity: str
    folder: str
    explains: dict[str, Any] | None = None
