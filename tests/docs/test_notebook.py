"""The notebook runs from its first cell to its last."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import ROOT


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbmake")
    shutil.copy(ROOT / "docs" / "notebooks" / "first_steps.ipynb", tmp_path)
    words = [sys.executable, "-m", "pytest", "--nbmake", "-p", "no:cacheprovider", "first_steps.ipynb"]
    result = subprocess.run(words, check=False, capture_output=True, text=True, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
