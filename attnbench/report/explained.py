"""Explanations of the first run of each row, on the same test images wherever rows share their test set."""

import logging
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from attnbench.errors import NotInstalledError, UserError
from attnbench.explain.cams import check_method
from attnbench.explain.draw import scales_of
from attnbench.explain.explanation import Explanation
from attnbench.explain.gallery import MOST_IMAGES, viewer
from attnbench.explain.session import Session
from attnbench.report.rows import ReportRow
from attnbench.runs.explanations import Request
from attnbench.training.trained_run import TrainedRun

logger = logging.getLogger("attnbench")


def explain_rows(rows: Sequence[ReportRow], request: Request, load: Callable[[Path], TrainedRun]) -> dict[str, str]:
    """Return the viewer of each row that can be explained, by the row's key; for others the reason is shown.

    Args:
        rows: of the report.
        request: the images to explain.
        load: loads the run in a folder.

    Raises:
        NotInstalledError: the library for class activation maps is missing.
    """
    for method in request.methods:
        check_method(method)
    found: dict[str, Explanation] = {}
    shown: dict[str, str] = {}
    for row in rows:
        try:
            found[row.key] = _explain(row, request, load)
        except NotInstalledError:
            raise
        except UserError as error:
            logger.warning("%s: not explained: %s", row.label, error)
            shown[row.key] = f"<p>{escape(str(error))}</p>"
    scales = scales_of(list(found.values()), MOST_IMAGES) if found else {}
    return shown | {key: viewer([one], scales) for key, one in found.items()}


def _explain(row: ReportRow, request: Request, load: Callable[[Path], TrainedRun]) -> Explanation:
    folder = run_folder(row)
    if folder is None:
        raise UserError("no run of this row is finished")
    (explanation,) = Session([load(folder)], request, folder).explanations()
    return explanation


def run_folder(row: ReportRow) -> Path | None:
    """Return the folder of the row's first finished run, which holds its predictions; None without one."""
    paths = (record.predictions for _, record in sorted(row.result.records.items()))
    return next((path.parents[1] for path in paths if path is not None), None)
