"""Stopping sweeps and runs from outside, so that the same command resumes them.

A process on this machine gets a signal. One on another machine that sees the folder finds a request there.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attnbench.errors import UserError
from attnbench.launch.engine import GRACE_SECONDS
from attnbench.launch.queues import queue_of
from attnbench.runs.disk import WriteError
from attnbench.runs.files import readable, shown
from attnbench.runs.folder import RunFolder
from attnbench.runs.owner import HEARTBEAT_SECONDS, Owner, owner_of
from attnbench.runs.stop_request import request_stop
from attnbench.runs.sweeps import SweepFolder, SweepRecord, find_sweeps

PATIENCE_SECONDS = GRACE_SECONDS + 15 + HEARTBEAT_SECONDS
"""Time in which a process that was asked to stop has ended: it sees a request at its next heartbeat, and a scheduler
gives its jobs their time first."""
LOOK_SECONDS = 0.1


@dataclass
class Stopped:
    """Lines that say what was stopped, and what could not be."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def stop_sweep(sweep: SweepFolder) -> Stopped:
    """Cancel a sweep's jobs in a cluster's queue, and stop its schedulers and whoever else does its runs.

    Raises:
        UserError: the sweep's record is damaged, or its queue cannot be asked.
    """
    record, result = sweep.record(), Stopped()
    if record is None:
        raise UserError(f"{shown(sweep.path)}: there is no sweep")
    _cancel(record, [run.task for run in record.runs if run.task], result)
    owner = owner_of(sweep.path)
    if owner is not None and owner.near:
        _request(sweep.path, result)  # schedulers on other machines may watch over it too
    _stop_owners([sweep.path], f"the scheduler of {sweep.id}", result)
    _stop_owners([sweep.run_folder(run) for run in record.runs], "a run", result)
    if not result.done and not result.failed:
        result.done.append(f"{sweep.id}: nothing of it is under way")
    return result


def stop_runs(runs: Sequence[RunFolder], output: Path) -> Stopped:
    """Stop single runs; a job of a cluster is cancelled if it does no other run. Raises `UserError`."""
    result, folders = Stopped(), {run.path.resolve() for run in runs}
    left = set(folders)
    for sweep in find_sweeps(output):
        record = readable(sweep.record, None)
        tasks: dict[str, set[Path]] = {}
        for run in record.runs if record is not None else ():
            if run.task:
                tasks.setdefault(run.task, set()).add(sweep.run_folder(run).resolve())
        meant = {task: of_task for task, of_task in tasks.items() if of_task & folders}
        if record is None or not meant:
            continue
        shared = [task for task, of_task in meant.items() if not of_task <= folders]
        result.failed += [f"job {task} of {sweep.id} does other runs too; attnbench stop {sweep.id}" for task in shared]
        _cancel(record, [task for task in meant if task not in shared], result)
        left -= set().union(*meant.values())
    _stop_owners(sorted(left), "a run", result)
    if not result.done and not result.failed:
        result.done.append("nothing of it is under way")
    return result


def _cancel(record: SweepRecord, tasks: Sequence[str], result: Stopped) -> None:
    queue = queue_of(record) if tasks else None
    if queue is None:
        return
    known = queue.open_tasks()
    there = [task for task in dict.fromkeys(tasks) if task in known]
    if there:
        queue.cancel(there)
        result.done.append(f"{record.engine}: cancelled {len(there)} job{'s' * (len(there) != 1)}")


def _stop_owners(folders: Sequence[Path], what: str, result: Stopped) -> None:
    """Ask the processes that own folders to stop, and wait until they do not own them any more."""
    asked = []
    for folder in folders:
        owner = owner_of(folder)
        if owner is not None and (_signal(owner) if owner.near else _request(folder, result)):
            asked.append((folder, owner))
    deadline = time.monotonic() + PATIENCE_SECONDS
    for folder, owner in asked:
        while (there := _same(owner, owner_of(folder))) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        ending = f"has not stopped after {PATIENCE_SECONDS:.0f} s" if there else "stopped"
        (result.failed if there else result.done).append(f"{shown(folder)}: {what}, {owner.name}: {ending}")


def _signal(owner: Owner) -> bool:
    """Ask a process on this machine to stop; return True."""
    with suppress(ProcessLookupError):
        os.kill(owner.pid, signal.SIGTERM)
    return True


def _request(folder: Path, result: Stopped) -> bool:
    """Request a stop of what is done in a folder on other machines; return whether that was possible."""
    try:
        request_stop(folder)
    except (WriteError, UserError) as error:
        result.failed.append(str(error))
        return False
    return True


def _same(owner: Owner, now: Owner | None) -> bool:
    return now is not None and now.process == owner.process
