"""Rooms import in one direction; the contracts are in pyproject.toml."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_imports_run_downwards_only() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_private_names_of_other_packages_are_used_in_compat_files_alone() -> None:
    private = re.compile(r"\bhydra\._\w+|\bpytorch_lightning\.\w*\._|\btorch(\.\w+)*\._[a-z]|\.fit_loop\.")
    users = {
        path.name
        for path in (ROOT / "attnbench").rglob("*.py")
        if any(private.search(line) for line in path.read_text(encoding="utf-8").splitlines())
    }
    assert users == {"hydra_compat.py", "hydra_files_compat.py", "lightning_compat.py"}
