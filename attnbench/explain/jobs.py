"""Explanations as jobs of a sweep: an engine explains each run, and the command that asked for it draws.

A job has a folder of its own, `<output>/explanations/jobs/<run>-<hash>`. It keeps maps and scores there, and the record
of the run that they are of, with the job's own status: so schedulers, engines and `attnbench status` see how far the
job is as they do for a run that is trained.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from attnbench.config.validate import RunConfig
from attnbench.errors import RunError, UserError
from attnbench.explain.kept import read_found, write_found
from attnbench.explain.scored_run import Found, describe
from attnbench.explain.session import ExplainSession
from attnbench.runs.evaluations import Evaluation, finished_record
from attnbench.runs.explanations import JOBS, Request
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.lock import Lock
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_writer import now
from attnbench.training.trained_run import LoadedRun
from attnbench.version import __version__

MAPS = "maps.npz"
Explainer = Callable[[Evaluation, Request, Sequence[int]], Found]
"""Explains images by one run: those of the request, or test images by their numbers."""


def jobs_of(session: ExplainSession, config: RunConfig, output: Path) -> list[Job]:
    """Return a job for each run of a session.

    Args:
        session: that chose the images.
        config: says under `launch` and `sweep` where and how many at a time.
        output: the folder that holds `runs`.
    """
    groups = {group: config[group] for group in ("launch", "sweep", "run")}
    return [_job(run, session, groups, output.absolute() / JOBS) for run in session.runs]


def _job(run: LoadedRun, session: ExplainSession, groups: dict[str, Any], place: Path) -> Job:
    explains = {"run": os.fspath(run.folder.absolute()), "written": run.record.written, **_asked(session)}
    content = json.dumps([explains, str(run.data.fingerprint()), __version__], sort_keys=True)
    identity = hashlib.sha256(content.encode()).hexdigest()[:10]
    folder = place / f"{run.folder.parent.name}-{run.folder.name}-{identity}"
    return Job(replace(run.config, values={**run.config.values, **groups}), identity, folder, explains)


def _asked(session: ExplainSession) -> dict[str, Any]:
    """Return the request and the chosen images as plain data; files also by their content, which may change."""
    files = [path.absolute() for path in session.request.files]
    numbers = [] if files else [int(name) for name in session.images.names]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    request = {**asdict(session.request), "files": [os.fspath(path) for path in files]}
    return {"request": request, "numbers": numbers, "digests": digests}


def explain_job(job: Job, explain: Explainer) -> str:
    """Do a job, and return the line that says what was found.

    Args:
        job: to be done.
        explain: as runs of the job's task are explained.

    Raises:
        RunLockedError: another process does it.
        UserError: the run or its images cannot be explained.
    """
    assert job.explains is not None
    folder, request = RunFolder(job.folder), _request(job.explains["request"])
    with Lock(folder.path):
        if folder.finished():
            return f"{shown(folder.path)}: was explained before"
        evaluation = _evaluation(job, request)
        with _recorded(folder, evaluation.record):
            found = explain(evaluation, request, job.explains["numbers"])
            write_found(job.folder / MAPS, found)
    return describe(*found, others={})


@contextmanager
def _recorded(folder: RunFolder, record: FinishedRecord) -> Iterator[None]:
    """Write how the work in the context goes into a record, which is at last that of the explained run."""
    known = {part.name: getattr(record, part.name) for part in fields(RunRecord)}
    state = RunRecord(**{**known, "status": "running", "written": now()})
    folder.write_record(state)
    try:
        yield
    except KeyboardInterrupt:
        folder.write_record(replace(state, status="interrupted", written=now()))
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        folder.write_record(replace(state, status="failed", error=reason, written=now()))
        raise
    folder.write_record(record)


def found_by(job: Job, session: ExplainSession, name: str) -> Found:
    """Return what a finished job of a session found, under the run's name. Raises `UserError` if it is damaged."""
    return read_found(job.folder / MAPS, session.images, name)


def _evaluation(job: Job, request: Request) -> Evaluation:
    """Return the run that a job explains, under the job's configuration. Raises `RunError` if it is another now."""
    assert job.explains is not None
    folder = RunFolder(Path(job.explains["run"]))
    record = finished_record(folder, request.checkpoint)
    if record.written != job.explains["written"]:
        raise RunError("the run was trained again meanwhile")
    return Evaluation(folder, record, request.checkpoint, job.config, settings={})


def _request(content: dict[str, Any]) -> Request:
    """Return a request from plain data."""
    lists = {key: tuple(content[key]) for key in ("layers", "methods")}
    return Request(**{**content, **lists, "files": tuple(map(Path, content["files"]))})
