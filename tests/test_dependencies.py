"""The lists of dependencies: locked versions are what the ranges allow, with hashes, and every licence is known."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import licences  # noqa: E402

EXTRAS = {"run": licences.EXTRAS, "dev": ("dev", "docs")}
ENTRY = re.compile(r"^([\w.-]+)==(\S+?)(?: ;[^\\]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


@pytest.mark.parametrize("name", EXTRAS)
def test_locked_versions_are_within_the_ranges(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    locked = {canonicalize_name(entry[1]): entry[2] for entry in ENTRY.finditer(text)}
    for requirement in map(Requirement, licences.required(EXTRAS[name])):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("name", EXTRAS)
def test_every_locked_package_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith(("#", "--hash"))]
    assert len(lines) == len(list(ENTRY.finditer(text))) > 50
    assert "://" not in text
    assert "--index" not in text


def test_the_licence_of_every_package_is_permissive_and_on_the_page() -> None:
    names = licences.installed(licences.required(licences.EXTRAS))
    assert {"torch", "hydra-core", "timm", "datasets", "onnxruntime", "grad-cam", "antlr4-python3-runtime"} <= names
    assert [name for name in names if not licences.permissive(licences.licence(name))] == []
    page = licences.PAGE.read_text(encoding="utf-8")
    direct = {canonicalize_name(Requirement(line).name) for line in licences.required(licences.EXTRAS)}
    assert [name for name in direct if f"`{name}`" not in page] == []


def test_every_extra_of_users_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {*EXTRAS["run"], *EXTRAS["dev"]} == set(project["optional-dependencies"])


@pytest.mark.parametrize(
    ("licence", "permissive"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-or-later OR BSD-3-Clause", True),
        ("", False),
    ],
)
def test_a_licence_is_permissive_if_all_its_parts_are(licence: str, permissive: bool) -> None:
    assert licences.permissive(licence) is permissive
