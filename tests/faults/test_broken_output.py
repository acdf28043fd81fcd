"""Training whose output goes nowhere: the run is finished and recorded all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.runs.folder import find_runs
from tests.conftest import TINY

CASES = [("train", ">&-"), ("train", ">/dev/full"), ("train", "2>&1 | true"), ("train -m", "<&- >&- 2>&-")]


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "redirections"), CASES)
def test_a_run_is_finished_whatever_becomes_of_its_output(verb: str, redirections: str) -> None:
    command = f"set -o pipefail; '{sys.executable}' -m attnbench {verb} {' '.join(TINY)} recipe.epochs=1 {redirections}"
    variables = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(["bash", "-c", command], check=False, capture_output=True, text=True, env=variables)
    assert result.returncode == 0, result.stderr
    assert [run.state() for run in find_runs(Path("outputs"))] == ["finished"]
