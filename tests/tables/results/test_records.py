"""Records that tables read: runs are found by their identity, and without their file of weights by its path."""

from dataclasses import replace

from attnbench.config.compose import Composer
from attnbench.runs.identity import identity
from attnbench.tables.results.records import Records
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


def test_a_run_without_weights_is_found_by_its_identity_alone() -> None:
    records, golden = Records(), golden_record()
    records.add(golden)
    records.add_by_path(golden, Composer())
    assert list(records.runs) == [(golden.identity, golden.seed)]
