"""attnbench inside a user's own program: in a thread, and in a script that does not guard its main part."""

import os
import sys
from pathlib import Path

import pytest

from attnbench.runs.folder import find_runs
from tests.faults.processes import SHORT, Family

SCRIPT = """\
import sys, threading
from attnbench.cli.main import main
print("the script runs", flush=True)
statuses = []
thread = threading.Thread(target=lambda: statuses.append(main(sys.argv[1:])))
thread.start()
thread.join()
sys.exit(statuses[0])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("train", *SHORT),
        ("train", "-m", *SHORT, "seed=0,1"),
        ("train", *SHORT, "trainer.devices=2", "trainer.accelerator=cpu"),
    ],
    ids=["run", "sweep", "devices"],
)
@pytest.mark.parametrize("folder", ["", "missing", 120 * "t"], ids=["", "no-tmpdir", "long-tmpdir"])
def test_a_script_runs_once_and_trains_in_a_thread(words: tuple[str, ...], folder: str) -> None:
    """Wherever temporary files go."""
    Path("script.py").write_text(SCRIPT)
    if len(folder) > 100:
        Path(folder).mkdir()
    variables = {"TMPDIR": os.fspath(Path.cwd() / folder)} if folder else {}
    script = Family([sys.executable, "script.py", *words], variables)
    assert script.end(120) == 0, script.output()
    logs = [run.log_file.read_text() for run in find_runs(Path("outputs")) if run.log_file.exists()]
    assert "".join([script.output(), *logs]).count("the script runs") == 1
    assert {run.state() for run in find_runs(Path("outputs"))} == {"finished"}
    assert "Traceback" not in "".join([script.output(), *logs])
