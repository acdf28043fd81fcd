"""Records without what belongs to one machine or one person: hosts, folders, keys of services, messages of errors."""

from dataclasses import replace
from typing import Any

from attnbench.runs.identity import portable_path
from attnbench.runs.record import AnyRecord, FinishedRecord, RunRecord

LOCAL_GROUPS = ("output", "logger", "launch")
"""Parts of a record's configuration that mean nothing on another machine, hold keys of a service, or name accounts."""


def portable(record: AnyRecord) -> AnyRecord:
    """Return a record as it may be published; of an absolute path only the last part and a hash are left."""
    config = {group: node for group, node in record.config.items() if group not in LOCAL_GROUPS}
    config["data"] = {key: value for key, value in config["data"].items() if key != "root"}
    published = replace(record, config=config, environment=replace(record.environment, host=None), error="")
    if isinstance(published, FinishedRecord):
        evaluations = published.evaluations.items()
        nowhere = {key: replace(entry, environment=replace(entry.environment, host=None)) for key, entry in evaluations}
        published = replace(published, evaluations=nowhere)
    read = RunRecord.from_json(_without_paths(published.to_json()), f"{record.identity}, seed {record.seed}")
    assert isinstance(read, type(record))  # as its status is still the same
    return read


def _without_paths(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_paths(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_without_paths(value) for value in content]
    return portable_path(content) if isinstance(content, str) else content
