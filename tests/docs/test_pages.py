"""The code and the lists on the documentation's pages agree with the package."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from attnbench import __version__
from attnbench.config.search_path import choices, search_path
from attnbench.tables.spec.load import table_files
from tests.docs.pages import ROOT, code, pages

PAGES = pages()
PYTHON = [(page, block) for page, text in PAGES.items() for block in code(text, "python")]
OWN_FILE = re.compile(r"^ *(class|def) \w+\(", re.MULTILINE)


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_python_runs(page: str, block: str, there: Path) -> None:
    if OWN_FILE.search(block):  # a file for the reader to write: its commands are run elsewhere
        ast.parse(re.sub("^    ", "", block, flags=re.MULTILINE) if page == "CONTRIBUTING.md" else block)
        return
    (run,) = (there / "outputs" / "runs").glob("*-bam-*")
    exec(compile(re.sub(r'load_run\("[\w/]+"\)', f'load_run("{run / "seed0"}")', block), page, "exec"), {})


def test_every_table_is_listed() -> None:
    listed = re.findall(r"^\| `([\w/]+)` \| (?:none|\d)", PAGES["docs/reproducing.md"], re.MULTILINE)
    assert listed == sorted(table_files())


@pytest.mark.parametrize(("group", "page"), [("data", "docs/data.md"), ("recipe", "docs/recipes.md")])
def test_every_choice_is_described(group: str, page: str) -> None:
    described = set(re.findall(r"`(\w+)`", PAGES[page]))
    assert set(choices(group, search_path())) <= described


def test_every_attention_is_described() -> None:
    described = set(re.findall(r"`(\w+)(?:/<name>)?`", PAGES["docs/methods/index.md"]))
    assert set(choices("attention", search_path())) <= described


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert (citation["version"], citation["license"]) == (__version__, "MIT")
    assert len(citation["references"]) == 4


def test_the_changelog_has_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changelog.index("## [Unreleased]") < changelog.index(f"## [{__version__}]")


def test_links_between_files_lead_somewhere() -> None:
    for page, text in PAGES.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            path = (ROOT / page).parent / target
            generated = target.startswith("reference/") or target.startswith("../reference/")
            assert generated or "import_graph" in target or path.exists(), f"{page}: {target}"


def test_every_room_is_described() -> None:
    rooms = {path.stem for path in (ROOT / "attnbench").iterdir() if path.suffix in ("", ".py")}
    listed = re.search(r"^\| layer .*?^$", PAGES["docs/architecture.md"], re.DOTALL | re.MULTILINE)
    assert listed
    described = set(re.findall(r"`(\w+)`", listed[0]))
    assert rooms - {"__init__", "__main__", "__pycache__"} <= described
