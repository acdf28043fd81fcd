"""A report with everything in it, in every format, equals the files in `golden/` byte for byte.

After an intended change: ATTNBENCH_REWRITE_GOLDEN=1 pytest tests/tables/render/test_golden.py, then read the diff.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.tables.render import FORMATS
from attnbench.tables.report import Report
from tests.tables.render.reports import PLAIN, REPORT

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {
    "terminal": "txt",
    "markdown": "md",
    "latex": "tex",
    "csv": "csv",
    "claims-csv": "claims.csv",
    "html": "html",
}


def without_drawings(text: str) -> str:
    """A page without what matplotlib draws, which changes with its releases (test_plots.py reads it)."""
    return re.sub(r"<svg .*?</svg>", "<svg></svg>", text, flags=re.DOTALL)


@pytest.mark.smoke
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("name", "report"), [("full", REPORT), ("plain", PLAIN)])
def test_a_rendered_report_equals_the_stored_file(form: str, name: str, report: Report) -> None:
    path = GOLDEN / f"{name}.{SUFFIXES[form]}"
    rendered = without_drawings(FORMATS[form](report)).encode()
    if os.environ.get("ATTNBENCH_REWRITE_GOLDEN"):
        path.write_bytes(rendered)
    assert rendered == path.read_bytes(), f"{path.name} differs"


@pytest.mark.parametrize("render", FORMATS.values(), ids=FORMATS)
def test_rendering_twice_gives_the_same_text(render: Callable[[Report], str]) -> None:
    assert render(REPORT) == render(REPORT)
