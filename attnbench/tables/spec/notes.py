"""Notes of a table and of its rows, each with the profiles under which it is true."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attnbench.tables.spec.yaml_nodes import TableFileError, make, require_keys, string_list


@dataclass(frozen=True)
class Note:
    """A note; `profiles` are the names of those under which it is printed, all if empty."""

    text: str = ""
    profiles: tuple[str, ...] = ()

    def under(self, profile: str) -> str:
        """Return the note's text under a profile; empty if it is not true there."""
        return self.text if not self.profiles or profile in self.profiles else ""


NO_NOTE = Note()


def parse_note(node: Any, where: str) -> Note:
    """Make a note from a string, or from `{text: …, profiles: […]}`. Raises `TableFileError`."""
    if isinstance(node, str):
        return Note(node)
    if not isinstance(node, dict):
        raise TableFileError(f"{where}: must be a text, or a mapping with text and profiles")
    require_keys(node, ("text", "profiles"), where)
    if not isinstance(node["text"], str):
        raise TableFileError(f"{where}.text: must be a text")
    profiles = string_list(node["profiles"], f"{where}.profiles")
    if not profiles:
        raise TableFileError(f"{where}.profiles: must name at least one")
    note: Note = make(Note, where, {**node, "profiles": profiles})
    return note


def parse_notes(node: Any) -> tuple[Note, ...]:
    """Make the notes of a table. Raises `TableFileError`."""
    if not isinstance(node, list | tuple):
        raise TableFileError("notes: must be a list of notes")
    return tuple(parse_note(part, f"notes[{place}]") for place, part in enumerate(node))


def texts_under(notes: tuple[Note, ...], profile: str) -> Iterator[str]:
    """Yield the texts of the notes that are true under a profile."""
    yield from filter(None, (note.under(profile) for note in notes))
