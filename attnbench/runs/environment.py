"""The software that a result depends on besides its configuration: code, packages, system."""

import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attnbench.runs.record_parts import Environment, GitState
from attnbench.version import __version__

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn", "timm")


def environment() -> Environment:
    """Return versions, git commit and host of this process."""
    return Environment(
        attnbench=__version__,
        git=git_state(Path(__file__).resolve().parents[2]),
        packages=package_versions(),
        python=platform.python_version(),
        platform=platform.platform(),
        host=socket.gethostname(),
    )


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages that results depend on."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def git_state(folder: Path) -> GitState | None:
    """Return a checkout's commit and whether tracked files differ from it; None outside a checkout.

    Files below `outputs` do not count, as `reproduce` itself writes kept results there.
    """
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        # without optional locks: a `git status` that is killed half-way would leave the checkout locked
        command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", ".", ":(exclude)outputs")
        return GitState(commit=git("rev-parse", "HEAD"), dirty=bool(changed))
    except (OSError, subprocess.SubprocessError):
        return None
