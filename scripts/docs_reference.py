"""Write the reference pages of the documentation from the configs and the command line's own help.

    python scripts/docs_reference.py FOLDER     # writes FOLDER/commands.md and FOLDER/options.md

The documentation makes these pages while it is built (`scripts/docs_hooks.py`), so they are never out of date.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from attnbench.cli.main import VERBS
from attnbench.cli.main import main as attnbench
from attnbench.config.search_path import choices, describe, groups, name_patterns, shipped, show_pattern

LINE = re.compile(r"^(?P<nested> *)(?P<key>\w+):\s*(?P<default>\"[^\"]*\"|\[[^]]*\]|[^#]*?)\s*(?:#\s*(?P<note>.*))?$")
"""An option of a config file: `width: auto # channels of the first stage`."""
NO_OPTIONS = ("defaults", "hydra")


class Option(NamedTuple):
    """One row of an option table, each field as text."""

    key: str
    default: str
    accepts: str
    note: str


def options(path: Path) -> list[Option]:
    """Return the options that a config file sets, in order, those of a nested node by their dotted key."""
    text = path.read_text(encoding="utf-8")
    declared: dict[str, Any] = (yaml.safe_load(text) or {}).get("_keys_", {})
    found, node = [], ""
    for match in filter(None, map(LINE.match, text.splitlines())):
        if not match["nested"]:
            node = match["key"]
        if node.startswith("_") or match["key"].startswith("_") or node in NO_OPTIONS or not match["default"]:
            continue
        key = f"{node}.{match['key']}" if match["nested"] else node
        declaration = declared.get(key, "")
        accepts = declaration.get("type", "") if isinstance(declaration, dict) else declaration
        decided_by_others = match["default"].startswith("${")  # an interpolation, which the comment explains
        default = "auto" if decided_by_others else match["default"]
        found.append(Option(key, default, str(accepts), match["note"] or ""))
    return found


def bases(path: Path, group: str) -> list[str]:
    """Return the titles (see `title`) of the files whose options a config file takes over."""
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    names = [str(entry).partition("@")[0] for entry in content.get("defaults", []) if "@" in str(entry)]
    return [title((path.parent / name).relative_to(shipped() / group).as_posix(), group) for name in names]


def title(name: str, group: str) -> str:
    """Return a file's heading: `attention=bam` for a choice, `data/family/cifar` for what several choices share."""
    return f"{group}/{name}" if name.startswith("family/") else f"{group}={name}"


def anchor(heading: str) -> str:
    """Return the fragment by which a page links to a heading."""
    return "#" + re.sub(r"[^\w-]", "", heading.lower())


def option_table(rows: list[Option]) -> str:
    """Return a Markdown table of options."""

    def cell(text: str, code: bool = False) -> str:
        escaped = text.replace("|", "\\|") if code else text.replace("|", "\\|").replace("<", "&lt;")
        return f"`{escaped}`" if code and text else escaped

    lines = (
        f"| `{row.key}` | {cell(row.default, code=True)} | {cell(row.accepts, code=True)} | {cell(row.note)} |\n"
        for row in rows
    )
    return "| option | default | accepts | meaning |\n|---|---|---|---|\n" + "".join(lines)


def file_section(name: str, path: Path, group: str) -> Iterator[str]:
    """Yield the Markdown of one config file: what it is, what it builds on, and its options."""
    text = path.read_text(encoding="utf-8")
    yield f"### {title(name, group).replace('<', '&lt;')}\n\n"
    yield f"{describe(path).rstrip('.')}.\n\n"
    if links := [f"[{base}]({anchor(base)})" for base in bases(path, group)]:
        yield f"With the options of {' and '.join(links)}"
        yield ". Changed or added:\n\n" if options(path) or "@package _global_" in text else ".\n\n"
    if "@package _global_" in text:  # sets options in several groups: shown as it is
        yield f"```yaml\n{text.partition('defaults:')[2].partition(chr(10))[2].strip() or '{}'}\n```\n\n"
    elif rows := options(path):
        yield f"{option_table(rows)}\n"


def group_section(group: str) -> Iterator[str]:
    """Yield the Markdown of one config group: its choices, then the files that several choices share."""
    folder = shipped()
    patterns = name_patterns(group, [folder])
    yield f"## {group}\n\n"
    for choice, path in choices(group, [folder]).items():
        name = show_pattern(patterns[choice]) if choice in patterns else choice
        yield from file_section(name, path, group)
    for path in sorted((folder / group / "family").glob("*.yaml")):
        yield from file_section(f"family/{path.stem}", path, group)


def options_page() -> str:
    """Return the page of all options of all choices."""
    head = (
        "# Options\n\nEvery option of every choice, as the configuration files declare them. Set one with"
        " `group.option=value` on the command line; `attnbench train --cfg job` prints the values of a run.\n\n"
        "## Options of a run\n\n"
    )
    run = option_table(options(shipped() / "train.yaml"))
    tune = "## Options of a tuning\n\nOf `attnbench tune`, written `tune.option=value`.\n\n"
    run += "\n" + tune + option_table(options(shipped() / "tune.yaml"))
    return head + run + "\n" + "".join(part for group in groups([shipped()]) for part in group_section(group))


def commands_page() -> str:
    """Return the page of all verbs, each with its `--help`."""
    parts = [
        "# Commands\n\nWhat each command prints with `--help`. `python -m attnbench` is the same program.\n",
        f"```text\n{help_of()}\n```\n",
    ]
    parts += [f"## attnbench {verb}\n\n```text\n{help_of(verb)}\n```\n" for verb in VERBS]
    return "\n".join(parts)


def help_of(*words: str) -> str:
    """Return what `attnbench WORDS --help` prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        attnbench([*words, "--help"])
    return printed.getvalue().rstrip()


def main() -> None:
    """Write both pages to the folder on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "commands.md").write_text(commands_page(), encoding="utf-8")
    (folder / "options.md").write_text(options_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
