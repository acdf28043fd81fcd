"""What MkDocs does beside rendering `docs/`: it makes the generated pages and pictures, and sets equations as MathML.

`mkdocs.yml` names this file. Nothing that it makes is kept in the repository, so nothing gets out of date.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docs_reference
import import_graph
from drawing import save
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from nbconvert import MarkdownExporter

ROOT = Path(__file__).resolve().parent.parent
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages and pictures."""
    for uri, content in (*reference(), *project_pages(), *kept_tables(), *notebooks()):
        files.append(File.generated(config, uri, content=content))
    return files


def reference() -> Iterator[tuple[str, str | bytes]]:
    """Yield the pages that the code and the configs give, and the import graph."""
    yield "reference/commands.md", docs_reference.commands_page()
    yield "reference/options.md", docs_reference.options_page()
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "import_graph.svg"
        save(import_graph.draw(import_graph.imports()), picture)
        yield "images/import_graph.svg", picture.read_bytes()


def project_pages() -> Iterator[tuple[str, str]]:
    """Yield the files at the top of the repository that are pages too."""
    for name in ("CONTRIBUTING.md", "CHANGELOG.md"):
        yield name.lower(), (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")


def kept_tables() -> Iterator[tuple[str, str]]:
    """Yield the tables that are kept in the repository, which `reproducing.md` links to."""
    for path in sorted((ROOT / "outputs" / "reproduced").rglob("table.md")):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def notebooks() -> Iterator[tuple[str, str | bytes]]:
    """Yield each notebook as a page, with its pictures."""
    for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")):
        body, resources = MarkdownExporter().from_filename(str(path))
        names = {name: f"{path.stem}_{name}" for name in resources["outputs"]}
        for name, unique in names.items():
            body = body.replace(f"({name})", f"({unique})")
            yield f"notebooks/{unique}", resources["outputs"][name]
        yield f"notebooks/{path.stem}.md", body


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links that work in the repository work in the documentation too: to kept tables, and to notebooks."""
    return markdown.replace("](../outputs/", "](outputs/").replace(".ipynb)", ".md)")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace TeX by MathML, which browsers show without a script."""

    def mathml(match: re.Match[str]) -> str:
        tex = match[3].replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
        if match[2] == "[":
            return f"<p>{convert(tex, display='block')}</p>"  # a paragraph keeps its distance to the next equation
        return convert(tex, display="inline")

    return EQUATION.sub(mathml, html)
