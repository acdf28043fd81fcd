"""What the pages show: shell commands and code, as README, CONTRIBUTING and the documentation have them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PROGRAMS = (
    "attnbench", "cd", "eval", "git", "mkdocs", "mypy", "pip", "pre-commit", "pytest", "python", "python3", "ruff",
    "source", "tensorboard", "torchrun", ".ci/run",
)  # fmt: skip
BLOCK = re.compile(
    r"(?P<comment><!--[^>]*-->\n)?^(?P<indent> *)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
INDENTED = re.compile(r"(?:^    .*\n?)+", re.MULTILINE)
FILE = re.compile(
    r"`(?P<path>[\w/.]+)`[^`\n]*:\n\n```(?P<language>python|yaml)\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Command(NamedTuple):
    """One command: the page that shows it, and its words."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def pages() -> dict[str, str]:
    """Return the text of all pages that people write, by path."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def code(text: str, language: str) -> list[str]:
    """Return the fenced blocks in a language, without those that a comment `not run: reason` excuses."""
    blocks = (match for match in BLOCK.finditer(text) if match["language"] == language)
    return [match["body"] for match in blocks if not (match["comment"] or "").startswith("<!-- not run: ")]


def example_files(text: str) -> dict[str, str]:
    """Return the files that a page asks its reader to write: a path in backticks and a colon, then the content."""
    return {match["path"]: match["body"] for match in FILE.finditer(text)}


def commands(page: str, text: str) -> Iterator[Command]:
    """Yield the commands of a page's shell blocks and of its indented blocks."""
    without_blocks = BLOCK.sub("", text)
    lines = [line for language in ("bash", "console") for block in code(text, language) for line in block.splitlines()]
    lines += [line for block in INDENTED.findall(without_blocks) for line in block.splitlines()]
    for line in (line.strip().removeprefix("$ ") for line in lines):
        if line.removeprefix("ATTNBENCH_DATA=DIR ").split(" ")[0] in PROGRAMS:
            yield from (Command(page, words) for words in split(line))


def split(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of each command on a line, without variables that are set and comments."""
    if match := re.fullmatch(r'eval "\$\((.*)\)"', line):
        line = match[1]
    words: list[str] = []
    for word in [*shlex.split(line, comments=True), "&&"]:
        if word != "&&":
            words.append(word)
        elif words:
            yield tuple(words[1:] if "=" in words[0] else words)
            words = []
