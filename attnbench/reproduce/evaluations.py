"""Tests of a table's runs under other settings, which its rows and columns ask for."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attnbench.errors import UserError
from attnbench.runs.evaluation_entry import INITIAL
from attnbench.runs.evaluations import RESPONSES, Evaluation, read_evaluations, settle
from attnbench.runs.files import readable
from attnbench.runs.folder import Job, RunFolder, shown
from attnbench.runs.record import FinishedRecord
from attnbench.tables.results.collector import settings_of
from attnbench.tables.results.values import EPOCHS, Key, MissingValue

if TYPE_CHECKING:
    from attnbench.reproduce.campaign import TableReproduction

logger = logging.getLogger(__name__)


def missing_evaluations(reproduction: "TableReproduction", jobs: Mapping[Key, list[Job]]) -> list[Evaluation]:
    """Return the evaluations that have not been done yet, each once."""
    wanted: dict[tuple[str, str], Evaluation] = {}
    for key, cell_jobs in jobs.items():
        for job in cell_jobs:
            for evaluation in _missing(reproduction, key, RunFolder(job.folder)):
                wanted.setdefault((str(evaluation.run.path), evaluation.key), evaluation)
    return list(wanted.values())


def _missing(reproduction: "TableReproduction", key: Key, run: RunFolder) -> list[Evaluation]:
    """Return the missing evaluations of a run that a cell asks for; none if the run is not finished.

    A run that cannot be evaluated is left out with a warning.
    """
    cell, record = reproduction.cells[key], readable(run.record, None)
    if not isinstance(record, FinishedRecord) or _wanted_settings(reproduction, key, record) is None:
        return []
    responses, epochs = cell.column.metric == "response", _epochs(reproduction, key, record)
    try:
        done = read_evaluations(run)
        evaluations = [settle(run, epoch, reproduction.composer, cell.evaluate, responses) for epoch in epochs]
    except UserError as error:
        logger.warning("not evaluated: %s: %s", shown(run.path), error)
        return []
    return [evaluation for evaluation in evaluations if evaluation.key not in done]


def lacks_evaluations(reproduction: "TableReproduction", key: Key, record: FinishedRecord) -> bool:
    """Return whether an archived record, whose run is not at hand, lacks evaluations that a cell asks for."""
    settings = _wanted_settings(reproduction, key, record)
    if settings is None:
        return False
    responses = [RESPONSES] if reproduction.cells[key].column.metric == "response" else []
    keys = [" ".join([epoch, *settings, *responses]) for epoch in _epochs(reproduction, key, record)]
    return any(name not in record.evaluations for name in keys)


def _wanted_settings(reproduction: "TableReproduction", key: Key, record: FinishedRecord) -> list[str] | None:
    """Return the settings under which a cell wants a run to be tested; None if the run's own test is enough."""
    cell = reproduction.cells[key]
    try:
        settings = settings_of(reproduction.composer, record, cell.evaluate)
    except MissingValue:  # the cell shows the reason
        return None
    return settings if settings or cell.column.metric == "response" else None


def _epochs(reproduction: "TableReproduction", key: Key, record: FinishedRecord) -> list[str]:
    """Return the checkpoints that a cell wants to be tested."""
    if reproduction.cells[key].column.epoch == INITIAL:
        return [INITIAL]
    return [epoch for epoch in EPOCHS if epoch == "last" or record.held_out]
