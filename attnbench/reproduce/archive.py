"""Results worth keeping: `outputs/reproduced/<paper>/<table>/<profile>/`, which git tracks."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attnbench.reproduce.campaign import LOOKS_FILE, TableReproduction, fingerprint_runs, records_in
from attnbench.runs.files import read_json, write_atomically, write_json
from attnbench.runs.identity import identity_today
from attnbench.tables.records import RECORDS_FILE, Record, read_archived
from attnbench.tables.report import Report
from attnbench.tables.values import Key, Result

FILES = {"markdown": "table.md", "latex": "table.tex", "csv": "table.csv", "html": "table.html"}
LOCAL_GROUPS = ("output",)
"""Parts of a record's configuration that mean nothing on another machine."""


def archive_results(reproduction: TableReproduction, results: Mapping[Key, Result], report: Report) -> Path:
    """Write a table in all formats, the records that it was made of, and their environments; returns the folder."""
    from attnbench.tables.render import FORMATS

    folder = reproduction.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        write_atomically(folder / file, FORMATS[name](report))
    records = sorted(records_in(results), key=lambda record: (record["identity"], record["seed"]))
    write_records(folder, [portable(record) for record in records])
    write_json(folder / "environment.json", environments(records))
    return folder


def write_records(folder: Path, records: Sequence[Record]) -> None:
    """Write the records of archived results."""
    write_atomically(folder / RECORDS_FILE, "".join(json.dumps(record) + "\n" for record in records))


def portable(record: Record) -> Record:
    """Return a record without paths of this machine."""
    config = {group: node for group, node in record["config"].items() if group not in LOCAL_GROUPS}
    config["data"] = {key: value for key, value in config["data"].items() if key != "root"}
    environment = {key: value for key, value in record["environment"].items() if key != "host"}
    return {**record, "config": config, "environment": environment}


def environments(records: Sequence[Record]) -> dict[str, Any]:
    """Return the different environments that records were made in, with the number of runs in each."""
    counts: dict[str, int] = {}
    for record in records:
        environment = {**portable(record)["environment"], "device": record["resolved"]["device_name"]}
        text = json.dumps(environment, sort_keys=True)
        counts[text] = counts.get(text, 0) + 1
    return {"environments": [{"runs": count, **json.loads(text)} for text, count in counts.items()]}


def update_identities(reproduction: TableReproduction) -> int:
    """Give archived records the identity that their configuration has today; returns how many changed.

    A set of runs whose claims were judged stays the same set. Records that do not tell their identity are left as they
    are (see `identity_today`).
    """
    folder = reproduction.folder
    before = read_archived(folder)
    after = [{**record, "identity": _identity_of(reproduction, record)} for record in before]
    changed = sum(old["identity"] != new["identity"] for old, new in zip(before, after, strict=True))
    if changed:
        looks = read_json(folder / LOOKS_FILE) or {}
        if (look := looks.pop(fingerprint_runs(before), None)) is not None:
            write_json(folder / LOOKS_FILE, {**looks, fingerprint_runs(after): look})
        write_records(folder, sorted(after, key=lambda record: (record["identity"], record["seed"])))
    return changed


def _identity_of(reproduction: TableReproduction, record: Record) -> str:
    fingerprint = record["data"]["fingerprint"]
    today = identity_today(reproduction.composer, record["choices"], record["config"], fingerprint)
    return today or str(record["identity"])
