"""The part of a page between two marks, which a script writes."""

from pathlib import Path

from attnbench.runs.files import write_atomically


def replace_between(page: Path, start: str, end: str, text: str) -> None:
    """Replace what a page has between two marks."""
    before, rest = page.read_text(encoding="utf-8").split(start)
    _, after = rest.split(end)
    write_atomically(page, f"{before}{start}{text}{end}{after}")
