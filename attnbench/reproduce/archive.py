"""Results worth keeping: `outputs/reproduced/<paper>/<table>/<profile>/`, which git tracks."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from attnbench.reproduce.campaign import TableReproduction, records_in
from attnbench.reproduce.pictures import pictures_in
from attnbench.reproduce.portable import portable
from attnbench.runs.files import make_folder, to_text, write_all, write_atomically, write_json
from attnbench.runs.record import RunRecord
from attnbench.tables.report import Report
from attnbench.tables.results.class_results import run_summaries
from attnbench.tables.results.per_class_summary import read_summaries, write_summaries
from attnbench.tables.results.records import RECORDS_FILE, read_archived, with_current_identity
from attnbench.tables.results.values import Key, Result


def archive_results(reproduction: TableReproduction, results: Mapping[Key, Result], report: Report) -> Path:
    """Write a table in all formats, the records that it was made of, and their environments; returns the folder."""
    from attnbench.tables.render import in_all_formats

    folder = reproduction.folder
    make_folder(folder)
    report = replace(report, pictures=pictures_in(folder))
    write_all({folder / name: content for name, content in in_all_formats(report).items()})
    records = list(records_in(results))
    write_records(folder, records)
    write_json(folder / "environment.json", environments(records))
    write_summaries(folder, run_summaries(reproduction.table, results, read_summaries(folder)))
    return folder


def write_records(folder: Path, records: Iterable[RunRecord]) -> None:
    """Write the records of archived results in their portable form, in the order of their identities and seeds."""
    ordered = sorted(records, key=lambda record: (record.identity, record.seed))
    write_atomically(folder / RECORDS_FILE, "".join(to_text(portable(record).to_json()) + "\n" for record in ordered))


def environments(records: Iterable[RunRecord]) -> dict[str, Any]:
    """Return the different environments that records were made in, with the number of runs in each."""
    texts = map(_environment, sorted(records, key=lambda record: (record.identity, record.seed)))
    return {"environments": [{"runs": count, **json.loads(text)} for text, count in Counter(texts).items()]}


def _environment(record: RunRecord) -> str:
    device = record.resolved.device_name if record.resolved else None
    return json.dumps({**portable(record).environment.to_json(), "device": device}, sort_keys=True)


def update_identities(reproduction: TableReproduction) -> int:
    """Give archived records of an earlier scheme the identity of today; returns how many changed."""
    folder = reproduction.folder
    before = read_archived(folder)
    after = [with_current_identity(record, reproduction.composer) for record in before]
    changed = sum(old.identity != new.identity for old, new in zip(before, after, strict=True))
    if changed:
        write_records(folder, after)
    return changed
