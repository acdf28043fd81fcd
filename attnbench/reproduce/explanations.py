"""Explanations of a table's runs, whose scores its columns show."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from attnbench.errors import UserError
from attnbench.runs.evaluations import PLAIN_SETTINGS, Evaluation, settle
from attnbench.runs.explanation_entry import FAITHFULNESS, ExplanationEntry
from attnbench.runs.explanations import OF_TABLES, Request, read_explanations
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.record import FinishedRecord
from attnbench.tables.results.values import Key
from attnbench.tables.spec.table import EXPLAINED

if TYPE_CHECKING:
    from attnbench.reproduce.campaign import TableReproduction

logger = logging.getLogger(__name__)


def request_of(reproduction: "TableReproduction") -> Request | None:
    """Return what a table wants its runs to be asked; None if it shows no scores of maps."""
    metrics = {column.metric for column in reproduction.table.columns.values()}
    if not metrics & EXPLAINED.keys():
        return None
    return replace(OF_TABLES, faithfulness=bool(metrics & FAITHFULNESS.keys()))


def missing_explanations(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> list[Evaluation]:
    """Return the finished runs of a table that have not been explained yet, each once.

    A run that cannot be loaded is left out with a warning.
    """
    if (request := request_of(reproduction)) is None:
        return []
    folders = dict.fromkeys(job.folder for cell_jobs in jobs.values() for job in cell_jobs)
    wanted = []
    for run in map(RunFolder, folders):
        if not isinstance(readable(run.record, None), FinishedRecord):
            continue
        try:
            if lacks_scores(read_explanations(run), request):
                wanted.append(settle(run, request.checkpoint, reproduction.composer, PLAIN_SETTINGS))
        except UserError as error:
            logger.warning("not explained: %s: %s", shown(run.path), error)
    return wanted


def lacks_scores(entries: Mapping[str, ExplanationEntry], request: Request) -> bool:
    """Return whether a run's explanations lack scores that are asked for."""
    entry = entries.get(request.key)
    return entry is None or (
        request.faithfulness and not any(FAITHFULNESS.keys() <= scores.keys() for scores in entry.maps.values())
    )


def lacks_explanation(reproduction: "TableReproduction", record: FinishedRecord) -> bool:
    """Return whether an archived record, whose run is not at hand, lacks scores that its table shows."""
    request = request_of(reproduction)
    return request is not None and lacks_scores(record.explanations, request)
