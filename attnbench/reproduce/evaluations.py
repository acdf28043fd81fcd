"""Tests of a table's runs under other settings: those that its rows and columns ask for, and that nobody has done."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnbench.runs.evaluations import Evaluation, read_evaluations, settle
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record import FinishedRecord
from attnbench.tables.values import EPOCHS, Key, settings_of
from attnbench.tables.values import MissingValue as Refused

if TYPE_CHECKING:
    from attnbench.reproduce.campaign import TableReproduction


def missing_evaluations(campaign: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> list[Evaluation]:
    """The evaluations to be done, each once."""
    wanted: dict[tuple[str, str], Evaluation] = {}
    for key, found in jobs.items():
        for job in found:
            for evaluation in _missing(campaign, key, RunFolder(job.folder)):
                wanted.setdefault((str(evaluation.run.path), evaluation.key), evaluation)
    return list(wanted.values())


def _missing(campaign: "TableReproduction", key: Key, run: RunFolder) -> list[Evaluation]:
    """Evaluations of a run that a cell asks for; none of a run that is not finished."""
    cell, record = campaign.cells[key], readable(run.record, None)
    responses = cell.column.metric == "response"
    if not isinstance(record, FinishedRecord) or not (cell.evaluate or responses):
        return []
    try:
        if not settings_of(campaign.composer, record, cell.evaluate) and not responses:
            return []
    except Refused:  # the cell will say why
        return []
    there = read_evaluations(run)
    epochs = [epoch for epoch in EPOCHS if epoch == "last" or record.held_out]
    made = [settle(run, epoch, campaign.composer, cell.evaluate, responses) for epoch in epochs]
    return [evaluation for evaluation in made if evaluation.key not in there]
