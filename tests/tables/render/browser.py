"""Pages in headless Chromium, where there is one."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


def after(page: str, script: str, folder: Path | None = None) -> str:
    """Return a page as headless Chromium dumps it after a script; the page is written to a folder, or to this one."""
    path = (folder or Path()).absolute() / "page.html"
    path.write_text(page.replace("</body>", f"<script>{script}</script></body>"), encoding="utf-8")
    command = [
        os.fspath(CHROMIUM or ""),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        "--virtual-time-budget=5000",
        path.as_uri(),
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def told_by(page: str, script: str, folder: Path | None = None) -> Any:
    """Return what a script leaves in `document.body.dataset.told`, as JSON."""
    (told,) = re.findall(r'<body[^>]* data-told="([^"]*)"', after(page, script, folder))
    return json.loads(unescape(told))


def frames(pages: Sequence[str], widths: Sequence[int]) -> str:
    """Return a page that shows each page in frames of several widths, in pixels."""
    inside = [
        f'<iframe style="width: {width}px" srcdoc="{escape(page)}"></iframe>' for page in pages for width in widths
    ]
    return f"<!DOCTYPE html><body>{''.join(inside)}</body>"
