"""Records that may be published: what belongs to a machine or a person is not in them."""

from pathlib import Path

import pytest

from attnbench.config.compose import Composer, compose
from attnbench.reproduce.archive import environments, write_records
from attnbench.reproduce.portable import portable
from attnbench.runs.identity import identity, portable_path
from attnbench.runs.record import FinishedRecord
from attnbench.tables.results.records import Records, read_archived
from tests.runs.samples import ENVIRONMENT, START, as_diverged, entry_json, make_finished

SECRETS = ("/srv", "alice", "c0ffee", "tower")
HERE = {**ENVIRONMENT, "host": "tower.lab"}
CONFIG = {
    **START["config"],
    "backbone": {"weights": "/srv/alice/imagenet.pth"},
    "data": {**START["config"]["data"], "root": "/srv/data", "labels": "~/alice/labels.csv"},
    "callbacks": {"mine": {"folder": r"C:\\Users\\alice\\maps", "every": [1, "/srv/alice/x"]}},
    "logger": {"wandb": {"key": "c0ffee"}},
    "output": "/srv/alice/outputs",
}


def test_nothing_of_the_machine_is_written() -> None:
    evaluations = {"last": entry_json(environment=HERE)}
    record = make_finished(
        config=CONFIG, environment=HERE, evaluations=evaluations, error="in /srv/alice", new="/srv/x"
    )
    write_records(Path(), [record])
    text = Path("records.jsonl").read_text()
    assert not [secret for secret in SECRETS if secret in text.replace("alice/labels", "labels")]
    (kept,) = read_archived(Path())
    assert isinstance(kept, FinishedRecord)
    assert kept.config["backbone"]["weights"].startswith("imagenet.pth (")
    assert kept.config["data"]["labels"].startswith("labels.csv (")
    assert kept.evaluations["last"].environment.host is None
    assert (kept.metrics, kept.identity, kept.choices) == (record.metrics, record.identity, record.choices)
    assert "tower" not in str(environments([record]))
    assert portable(kept) == kept


def test_of_a_run_that_diverged_as_little_is_written() -> None:
    record = as_diverged(make_finished(config=CONFIG, environment=HERE))
    write_records(Path(), [record, make_finished(seed=1)])
    text = Path("records.jsonl").read_text()
    assert not [secret for secret in SECRETS if secret in text.replace("alice/labels", "labels")]
    diverged, _ = read_archived(Path())
    assert (diverged.status, diverged.seed, diverged.costs) == ("diverged", 0, record.costs)
    assert portable(diverged) == diverged
    assert sum(one["runs"] for one in environments([record, make_finished(seed=1)])["environments"]) == 2


@pytest.mark.parametrize(
    "text", ["weights/x.pth", "default", "3x3", "attnbench.data.sets.digits.Digits", "", "~", "a/b"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert portable_path(text) == text


def test_a_kept_run_is_found_by_the_path_of_weights_that_are_not_at_hand() -> None:
    config = compose(["data=digits", "backbone.weights=/srv/alice/imagenet.pth"])
    other = compose(["data=digits", "backbone.weights=/srv/bob/imagenet.pth"])
    record = make_finished(config=config.values, choices=config.choices, identity="content")
    records, composer = Records(), Composer()
    for one in (record, portable(record)):
        records.add(one)
        records.add_by_path(one, composer)
    assert list(records.find(config)) == [0]
    assert not records.find(other)
    assert identity(config, "x") != identity(other, "x")
