"""Results worth keeping: `outputs/reproduced/<paper>/<table>/<profile>/`, which git tracks."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnbench.reproduce.campaign import TableReproduction, records_in
from attnbench.runs.files import to_text, write_atomically, write_json
from attnbench.tables.records import Record
from attnbench.tables.report import Report
from attnbench.tables.values import Key, Result

FILES = {"markdown": "table.md", "latex": "table.tex", "csv": "table.csv", "html": "table.html"}
PLACES = ("output",)
"""Parts of a record's configuration that only this machine knows."""


def keep(campaign: TableReproduction, results: Mapping[Key, Result], sheet: Report) -> Path:
    """Write a table in all formats, the records that it was made of, and where they were made; returns the folder."""
    from attnbench.tables.render import FORMATS

    folder = campaign.folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in FILES.items():
        write_atomically(folder / file, FORMATS[name](sheet))
    records = sorted(records_in(results), key=lambda record: (record.identity, record.seed))
    write_atomically(folder / "records.jsonl", "".join(to_text(portable(one).to_json()) + "\n" for one in records))
    write_json(folder / "environment.json", environments(records))
    return folder


def portable(record: Record) -> Record:
    """A record without paths of this machine."""
    config = {group: node for group, node in record.config.items() if group not in PLACES}
    config["data"] = {key: value for key, value in config["data"].items() if key != "root"}
    return replace(record, config=config, environment=replace(record.environment, host=None))


def environments(records: list[Record]) -> dict[str, Any]:
    """The different environments that records were made in, and how many runs in each."""
    counted: dict[str, int] = {}
    for record in records:
        text = json.dumps(
            {**portable(record).environment.to_json(), "device": record.resolved.device_name}, sort_keys=True
        )
        counted[text] = counted.get(text, 0) + 1
    return {"environments": [{"runs": count, **json.loads(text)} for text, count in counted.items()]}
