"""Records that tables read: runs are found by their identity, and without their file of weights by its path."""

from dataclasses import replace
from pathlib import Path

import pytest

from attnbench.config.compose import Composer
from attnbench.config.recompose import recompose
from attnbench.reproduce.archive import write_records
from attnbench.runs.folder import RunFolder
from attnbench.runs.identity import identity
from attnbench.tables.results.records import Records, gather
from tests.runs.samples import as_diverged
from tests.tables.sample_results import golden_record

OVERRIDES = ["data=digits", "backbone.width=4", "backbone.weights=somewhere/start.ckpt"]


def test_a_run_that_started_from_weights_is_found_where_their_file_is_not_at_hand() -> None:
    composer = Composer()
    config = composer.compose(OVERRIDES)
    golden = golden_record()
    started = replace(
        golden,
        identity=identity(config, golden.data.fingerprint, "hash of the weights"),
        choices=config.choices,
        config=config.values,
        seed=3,
    )
    records = Records()
    records.add(started)
    assert records.find(config) == {}
    records.add_by_path(started, composer)
    assert records.find(config) == {3: started}
    assert records.find(config, [started.identity]) == {3: started}
    assert records.find(composer.compose([*OVERRIDES[:2], "backbone.weights=another.ckpt"])) == {}


def test_runs_of_different_weights_are_not_mixed() -> None:
    composer = Composer()
    config = composer.compose(OVERRIDES)
    golden, records = replace(golden_record(), choices=config.choices, config=config.values), Records()
    for name, seeds in {"first": (0, 1), "second": (0, 1, 2), "third": (7,)}.items():
        for seed in seeds:
            record = replace(golden, identity=name, seed=seed)
            records.add(record)
            records.add_by_path(record, composer)
    asked: dict[tuple[str, ...], tuple[str, list[int]]] = {
        (): ("second", [0, 1, 2]),
        ("first",): ("first", [0, 1]),
        ("fourth",): ("", []),
    }
    for identities, (name, expected) in asked.items():
        found = records.find(config, identities)
        assert list(found) == expected
        assert {record.identity for record in found.values()} == ({name} if name else set())


def test_runs_that_diverged_are_found_like_the_others_where_the_file_of_weights_is_not_at_hand() -> None:
    composer = Composer()
    config = composer.compose(OVERRIDES)
    golden, records = replace(golden_record(), choices=config.choices, config=config.values, identity="one"), Records()
    for record in (replace(golden, seed=0), as_diverged(replace(golden, seed=1)), as_diverged(replace(golden, seed=0))):
        records.add_findable(record, composer)
    assert list(records.find(config)) == [0]
    assert list(records.find_diverged(config)) == [1]  # seed 0 finished in the end
    assert records.find_diverged(config, ["another"]) == {}


@pytest.mark.parametrize(
    ("here", "kept", "found"),
    [
        ("", "diverged", "diverged"),
        ("finished", "diverged", "finished"),
        ("interrupted", "diverged", "interrupted"),
        ("diverged", "finished", "finished"),
        ("diverged", "", "diverged"),
        ("diverged", "diverged", "diverged"),
    ],
)
def test_what_a_kept_table_says_of_a_run_and_what_its_folder_says(here: str, kept: str, found: str) -> None:
    """The folder counts, unless only the kept table has a result."""
    golden, composer = golden_record(), Composer()
    made = {
        "finished": golden,
        "diverged": as_diverged(golden),
        "interrupted": replace(as_diverged(golden), status="interrupted"),
    }
    if here:
        folder = RunFolder(Path("runs") / f"run-{golden.identity}" / f"seed{golden.seed}")
        folder.path.mkdir(parents=True)
        folder.write_record(made[here])
    if kept:
        write_records(Path(), [made[kept]])
    records = gather(Path(), Path(), composer)
    config = recompose(composer, golden.choices, golden.config, [])[0]
    states = {
        "finished": records.find(config, [golden.identity]),
        "diverged": records.find_diverged(config, [golden.identity]),
        "interrupted": records.unfinished_states(config, [golden.identity]),
    }
    assert [name for name, runs in states.items() if runs] == [found]


def test_a_run_without_weights_is_found_by_its_identity_alone() -> None:
    records, golden = Records(), golden_record()
    records.add(golden)
    records.add_by_path(golden, Composer())
    assert list(records.runs) == [(golden.identity, golden.seed)]
