"""attnbench explain with `launch`: each run is explained by a job of an engine."""

from pathlib import Path

from attnbench.config.validate import RunConfig
from attnbench.exit_codes import DONE, INTERRUPTED
from attnbench.explain.jobs import found_by, jobs_of
from attnbench.explain.scored_run import Found
from attnbench.explain.session import ExplainSession
from attnbench.launch.dry import DryLauncher
from attnbench.launch.launcher import launcher_of
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder


def find_elsewhere(session: ExplainSession, config: RunConfig, output: Path) -> tuple[list[Found], int]:
    """Explain the runs of a session where a configuration says, unless that was done before.

    Args:
        session: that chose the images.
        config: says under `launch` and `sweep` where and how many at a time.
        output: the folder that holds `runs`.

    Returns:
        What was found, without runs that failed and empty if anything is still to be done; and the exit status.

    Raises:
        UserError: the engine cannot be used, or what was found is damaged.
    """
    from attnbench.cli.sweep import print_commands, run_jobs
    from attnbench.console import make_console

    launcher = launcher_of([config])
    launcher.prepare()
    jobs, status = jobs_of(session, config, output), DONE
    if not isinstance(launcher, DryLauncher):
        explained = zip(jobs, session.runs, strict=True)
        labels = {job.identity: f"explain {run.folder.parent.name}" for job, run in explained}
        _, status = run_jobs(jobs, make_console(), launcher.slots(jobs), labels)
    elif not all(map(_finished, jobs)):
        return [], print_commands(jobs, launcher)
    if status == INTERRUPTED:
        return [], status
    named = zip(jobs, session.names, strict=True)
    return [found_by(job, session, name) for job, name in named if _finished(job)], status


def _finished(job: Job) -> bool:
    return bool(readable(RunFolder(job.folder).finished, False))
