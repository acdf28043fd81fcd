"""List the licences of all packages that attnbench installs, and update docs/dependencies.md.

    python scripts/licences.py            # prints the list
    python scripts/licences.py --write    # also writes it to the page

The list holds what is needed, directly or not, by attnbench with the extras that users install, on this machine. Exit
status 1 if a licence is not known, or asks more than the permissive ones.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

from marked_text import replace_between
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "dependencies.md"
START, END = "<!-- licences: scripts/licences.py -->", "<!-- /licences -->"
EXTRAS = ("timm", "hub", "onnx", "safetensors", "explain", "tune", "mlflow", "slurm", "ray", "detection")
"""All but `dev` and `docs`."""
PERMISSIVE = ("0BSD", "3-Clause BSD", "Apache", "BSD", "BSL", "CC0", "ISC", "MIT", "MPL", "Mozilla Public License",
              "PSF", "Python Software Foundation", "Zlib", "NVIDIA")  # fmt: skip
"""Beginnings of licences that let anyone use the package. MPL asks something only of those who change the package's own
files, and NVIDIA's libraries, which PyTorch brings, may be used as they are."""


def required(extras: Iterable[str]) -> list[str]:
    """Return the requirements in pyproject.toml, with those of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + [line for extra in extras for line in project["optional-dependencies"][extra]]


def installed(requirements: Iterable[str]) -> set[str]:
    """Return the names of the packages that requirements bring on this machine, directly or not."""
    found: set[tuple[str, str]] = set()
    pending = [(Requirement(text), "") for text in requirements]
    while pending:
        requirement, extra = pending.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in (*requirement.extras, ""):
            key = (canonicalize_name(requirement.name), wanted)
            if key not in found:
                found.add(key)
                pending += [(Requirement(text), wanted) for text in metadata.requires(requirement.name) or ()]
    return {name for name, _ in found}


def licence(name: str) -> str:
    """Return a package's licence as its metadata, or else its licence file, names it; empty if neither does."""
    if name.startswith(("cuda-toolkit", "nvidia-")):
        return "NVIDIA's (proprietary)"  # some of these packages name it, others only say that it is proprietary
    content = metadata.metadata(name).json
    if expression := content.get("license_expression"):
        return str(expression)
    classifiers = [line.split(" :: ")[-1] for line in content.get("classifier", []) if line.startswith("License ::")]
    if named := [line for line in classifiers if line != "OSI Approved"]:
        return " and ".join(sorted(named))
    return str(content.get("license", "")).strip().partition("\n")[0][:60] or _first_line_of_file(name)


def _first_line_of_file(name: str) -> str:
    """Return the first words of a package's licence file; empty if it has none."""
    files = [path for path in metadata.files(name) or () if path.stem == "LICENSE"]
    return files[0].read_text().strip().partition("\n")[0][:60] if files else ""


def permissive(text: str) -> bool:
    """Return whether one of the alternatives of a licence is permissive in all its parts."""
    return any(all(_begins(part) for part in re.split(r" AND | and ", way)) for way in re.split(r" OR | or ", text))


def _begins(part: str) -> bool:
    return part.strip("( )").startswith(PERMISSIVE)


def rows(names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the page's table, one for each licence."""
    by_licence: dict[str, list[str]] = {}
    for name in sorted(names):
        by_licence.setdefault(licence(name), []).append(f"`{name}`")
    yield "| licence | packages |\n|---|---|\n"
    for text, packages in sorted(by_licence.items()):
        yield f"| {text or 'not named'} | {', '.join(packages)} |\n"


def main() -> int:
    """Print or write the list, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="update docs/dependencies.md")
    names = installed(required(EXTRAS))
    table = "".join(rows(names))
    print(table, end="")
    if parser.parse_args().write:
        replace_between(PAGE, START, END, f"\n\n{table}\n")
    others = [name for name in sorted(names) if not permissive(licence(name))]
    print("".join(f"not permissive, or not known: {name}: {licence(name)}\n" for name in others), end="")
    return 1 if others else 0


if __name__ == "__main__":
    sys.exit(main())
