"""Records of earlier versions, brought to today's layout of `record.json`."""

from collections.abc import Callable, Mapping
from typing import Any

from attnbench.runs.files import RunFileError, damaged

SCHEMA = 2
"""Version of `record.json`'s layout."""
Content = dict[str, Any]


def migrate(content: Mapping[str, Any], where: str) -> Content:
    """Return a record in today's layout.

    Args:
        content: a record as it is in its file; not changed.
        where: the file, for the error message.

    Raises:
        UserError: the record has no schema, or one of a later version.
    """
    schema = content.get("schema")
    if type(schema) is not int or schema < 1:
        raise damaged(where, f"schema must be a whole number from 1 to {SCHEMA}")
    if schema > SCHEMA:
        raise RunFileError(
            f"{where}: is of a later version of attnbench (schema {schema}, this one reads 1 to {SCHEMA})"
        )
    migrated = dict(content)
    for step in STEPS[schema - 1 :]:
        migrated = step(migrated)
    return migrated


def _to_2(content: Content) -> Content:
    """Schema 2 says by which scheme the identity was computed; early records of schema 1 have no energy."""
    migrated = {**content, "schema": 2, "identity_scheme": content.get("identity_scheme", 1)}
    return {"energy_joules": None, **migrated} if content.get("status") == "finished" else migrated


STEPS: tuple[Callable[[Content], Content], ...] = (_to_2,)
"""Step n brings a record from schema n + 1 to n + 2."""
