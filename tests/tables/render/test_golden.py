"""A sheet with everything in it, in every format, byte for byte as it is stored in `golden/`.

After a change that is meant: ATTNBENCH_REWRITE_GOLDEN=1 pytest tests/papers/render/test_golden.py, then read the diff.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from attnbench.tables.render import FORMATS
from attnbench.tables.report import Report
from tests.tables.render.sheets import PLAIN, SHEET

GOLDEN = Path(__file__).parent / "golden"
SUFFIXES = {"terminal": "txt", "markdown": "md", "latex": "tex", "csv": "csv", "html": "html"}


def without_drawings(text: str) -> str:
    """A page without what matplotlib draws, which is another from release to release (test_plots.py reads it)."""
    return re.sub(r"<svg .*?</svg>", "<svg></svg>", text, flags=re.DOTALL)


@pytest.mark.smoke
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(("name", "sheet"), [("full", SHEET), ("plain", PLAIN)])
def test_it_is_what_is_stored(form: str, name: str, sheet: Report) -> None:
    path = GOLDEN / f"{name}.{SUFFIXES[form]}"
    rendered = without_drawings(FORMATS[form](sheet)).encode()
    if os.environ.get("ATTNBENCH_REWRITE_GOLDEN"):
        path.write_bytes(rendered)
    assert rendered == path.read_bytes(), f"{path.name} is another"


@pytest.mark.parametrize("render", FORMATS.values(), ids=FORMATS)
def test_it_is_the_same_each_time(render: Callable[[Report], str]) -> None:
    assert render(SHEET) == render(SHEET)
