"""Tests of a table's runs under other settings, which its rows and columns ask for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnbench.runs.evaluation_entry import INITIAL
from attnbench.runs.evaluations import Evaluation, read_evaluations, settle
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder
from attnbench.runs.record import FinishedRecord
from attnbench.tables.values import EPOCHS, Key, MissingValue, settings_of

if TYPE_CHECKING:
    from attnbench.reproduce.campaign import TableReproduction


def missing_evaluations(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> list[Evaluation]:
    """Return the evaluations that have not been done yet, each once."""
    wanted: dict[tuple[str, str], Evaluation] = {}
    for key, cell_jobs in jobs.items():
        for job in cell_jobs:
            for evaluation in _missing(reproduction, key, RunFolder(job.folder)):
                wanted.setdefault((str(evaluation.run.path), evaluation.key), evaluation)
    return list(wanted.values())


def _missing(reproduction: "TableReproduction", key: Key, run: RunFolder) -> list[Evaluation]:
    """Return the missing evaluations of a run that a cell asks for; none if the run is not finished."""
    cell, record = reproduction.cells[key], readable(run.record, None)
    responses = cell.column.metric == "response"
    if not isinstance(record, FinishedRecord) or not (cell.evaluate or responses):
        return []
    try:
        if not settings_of(reproduction.composer, record, cell.evaluate) and not responses:
            return []
    except MissingValue:  # the cell shows the reason
        return []
    done = read_evaluations(run)
    epochs: list[str] = [epoch for epoch in EPOCHS if epoch == "last" or record.held_out]
    if cell.column.epoch == INITIAL:
        epochs = [INITIAL]
    evaluations = [settle(run, epoch, reproduction.composer, cell.evaluate, responses) for epoch in epochs]
    return [evaluation for evaluation in evaluations if evaluation.key not in done]
