"""The frame of all HTML pages, self-contained, in light and dark colours; styles and scripts are package files."""

import base64
import io
from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

HERE = Path(__file__).parent
THEME = HERE / "theme.css"
"""Colours and fonts."""
TABLE_STYLES, TABLE_SCRIPT = HERE / "table.css", HERE / "table.js"


def make_page(title: str, content: str, styles: Iterable[Path], scripts: Iterable[Path], footer: str = "") -> str:
    """Return a page that needs no other file.

    Args:
        title: as text.
        content: what is below the title, as HTML.
        styles: style sheets that are added to the theme.
        scripts: run in this order once the page is there.
        footer: as HTML.
    """
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        styles=_joined([THEME, *styles]),
        content=content,
        footer=footer,
        scripts=_joined(scripts),
    )


def _joined(files: Iterable[Path]) -> str:
    return "".join(file.read_text(encoding="utf-8") for file in files)


def image_address(image: "Image", form: str = "PNG") -> str:
    """Return an image as an address that contains it, as JPEG or PNG."""
    stream = io.BytesIO()
    image.save(stream, form, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
