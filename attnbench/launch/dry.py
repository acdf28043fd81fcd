"""launch=dry: nothing is run; the commands are printed that do it elsewhere."""

import os
import shlex
from collections.abc import Sequence
from typing import Any

import yaml

from attnbench.errors import UserError, require, require_choice
from attnbench.launch.engine import WORKER_MODULE, Engine
from attnbench.launch.launcher import Launcher
from attnbench.runs.files import make_folder, write_all
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.sweeps import SweepFolder

LIST = "jobs.txt"
"""A file in the sweep's folder: the job files, one a line, from which each pod of a Kubernetes Job takes its own."""


class DryLauncher(Launcher):
    """Prints how runs are done elsewhere: their commands, or a Kubernetes Job.

    Args:
        format: `commands`, one for each run, or `kubernetes`.
        python: the interpreter in the commands.
        image: of the container, for Kubernetes.
        claim: the persistent volume claim that holds the output folder, for Kubernetes.
        gpus: of each run, for Kubernetes.
    """

    name = "dry"

    def __init__(
        self,
        format: str = "commands",
        python: str = "python",
        image: str | None = None,
        claim: str | None = None,
        gpus: int = 0,
    ) -> None:
        require_choice("format", format, ("commands", "kubernetes"))
        require(bool(python.strip()), "python", python, "must name an interpreter")
        require(gpus >= 0, "gpus", gpus, "must not be negative")
        for key, value in (("image", image), ("claim", claim)):
            require(format == "commands" or bool(value), key, value, "launch.format=kubernetes needs one")
        self.format, self.python, self.image, self.claim, self.gpus = format, python, image, claim, gpus

    def prepare(self) -> None:
        """Do nothing: nothing is needed."""

    def engine(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> Engine:
        """Raise `UserError`: there is no engine."""
        raise UserError("launch=dry runs nothing, so there is nothing that could be continued with")

    def text(self, jobs: Sequence[Job], slots: int, sweep: SweepFolder) -> str:
        """Write the files of jobs, and return what does the jobs.

        Args:
            jobs: that are not finished, at least one.
            slots: how many run at a time, for Kubernetes.
            sweep: that the jobs belong to.
        """
        for job in jobs:
            make_folder(job.folder)
            job.save(RunFolder(job.folder).job_file)
        files = [os.fspath(RunFolder(job.folder).job_file) for job in jobs]
        if self.format == "kubernetes":
            write_all({sweep.path / LIST: "".join(f"{file}\n" for file in files)})
            return yaml.safe_dump(self._kubernetes_job(sweep, len(jobs), slots), sort_keys=False)
        return "".join(f"{self.python} -m {WORKER_MODULE} {shlex.quote(file)}\n" for file in files)

    def _kubernetes_job(self, sweep: SweepFolder, count: int, slots: int) -> dict[str, Any]:
        """Return an indexed Job, whose pods each take one line of the list of job files."""
        line = f'sed -n "$((JOB_COMPLETION_INDEX + 1))p" {shlex.quote(os.fspath(sweep.path / LIST))}'
        container: dict[str, Any] = {
            "name": "run",
            "image": self.image,
            "command": ["sh", "-c", f'exec {self.python} -m {WORKER_MODULE} "$({line})"'],
            "volumeMounts": [{"name": "output", "mountPath": os.fspath(sweep.output)}],
        }
        if self.gpus:
            container["resources"] = {"limits": {"nvidia.com/gpu": self.gpus}}
        volume = {"name": "output", "persistentVolumeClaim": {"claimName": self.claim}}
        pod = {"restartPolicy": "OnFailure", "containers": [container], "volumes": [volume]}
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": f"attnbench-{sweep.id}"},
            "spec": {
                "completionMode": "Indexed",
                "completions": count,
                "parallelism": min(count, slots),
                "template": {"spec": pod},
            },
        }
