"""The states of a table's runs: on this machine, or kept with the table's archived results."""

from collections.abc import Mapping

from attnbench.reproduce.campaign import TableReproduction
from attnbench.reproduce.evaluations import lacks_evaluations
from attnbench.reproduce.explanations import lacks_explanation
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record import FinishedRecord
from attnbench.tables.results.records import DIVERGED, Records, read_archived, with_current_identity
from attnbench.tables.results.values import Key

STATES = ("done", "kept", "partial", "missing", "failed", "diverged", "running", "damaged")
HAVE_RESULTS = ("done", "kept")
"""States of runs that need not be trained."""
_WORDS = {"finished": "done", "new": "missing", "interrupted": "partial"}


class RunStates:
    """How far runs are. `kept`: the run is not on this machine, but its record is archived with the table.

    Args:
        reproduction: of the table.
        jobs: by cell.

    Raises:
        UserError: an archived record is damaged.
    """

    def __init__(self, reproduction: TableReproduction, jobs: Mapping[Key, list[Job]]) -> None:
        cells: dict[str, list[Key]] = {}
        for key, cell_jobs in jobs.items():
            cells.setdefault(cell_jobs[0].identity, []).append(key)
        records = [
            with_current_identity(record, reproduction.composer) for record in read_archived(reproduction.folder)
        ]
        self.kept = {
            (record.identity, record.seed)
            for record in records
            if isinstance(record, FinishedRecord)
            and not any(lacks_evaluations(reproduction, key, record) for key in cells.get(record.identity, ()))
            and not lacks_explanation(reproduction, record)
        }
        self.diverged = {(record.identity, record.seed) for record in records if record.status == DIVERGED}

    def of(self, job: Job) -> str:
        """Return how far a run is, as one of `STATES`."""
        state, run = RunFolder(job.folder).state(), (job.identity, job.config["seed"])
        if state not in ("finished", "running") and run in self.kept:
            return "kept"
        if state == "new" and run in self.diverged:
            return DIVERGED
        return _WORDS.get(state, state)

    def has_result(self, job: Job) -> bool:
        """Return whether a run need not be trained."""
        return self.of(job) in HAVE_RESULTS


def kept_of_other_weights(reproduction: TableReproduction, jobs: Mapping[Key, list[Job]]) -> int:
    """Return the number of archived runs that started from a file which holds other weights today."""
    kept = Records()
    for archived in read_archived(reproduction.folder):
        kept.add_findable(archived, reproduction.composer)
    others: set[tuple[str, int]] = set()
    for key, cell_jobs in jobs.items():
        config = reproduction.cells[key].config
        found = kept.find(config).values() if config else ()
        others.update((record.identity, record.seed) for record in found if record.identity != cell_jobs[0].identity)
    return len(others)
