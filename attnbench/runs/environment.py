"""What a result depends on besides its configuration: code, packages, machine."""

import platform
import socket
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import attnbench

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "scikit-learn", "timm")


def environment() -> dict[str, Any]:
    """Versions, git commit and host, for the record."""
    return {
        "attnbench": attnbench.__version__,
        "git": git_state(Path(attnbench.__file__).resolve().parent.parent),
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that results depend on, those absent left out."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it, but for kept results, which `reproduce` itself writes; None
    outside a checkout (an installed wheel, say).
    """
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        # without optional locks: a `git status` that is killed half-way would leave the checkout locked
        command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()

    try:
        changed = git("status", "--porcelain", "-uno", "--", ".", ":(exclude)outputs")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.SubprocessError):
        return None
