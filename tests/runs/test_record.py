"""A record comes back as it was written; whatever is wrong with its file is one line that names file and key."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnbench.errors import UserError
from attnbench.runs.files import write_json
from attnbench.runs.folder import RunFolder
from attnbench.runs.record import FinishedRecord, RunRecord
from attnbench.runs.record_parts import CostRecord, DataRecord, Environment, GitState, HardwareRecord
from tests.runs.samples import entry_json, make_finished, make_record, record_json

REPOSITORY = Path(__file__).parents[2]
KEPT = sorted(REPOSITORY.glob("outputs/reproduced/**/records.jsonl"))
GOLDEN = REPOSITORY / "tests" / "tables" / "golden" / "records.jsonl"

texts = st.text(max_size=8)
counts = st.integers(0, 2**40)
positive = st.integers(1, 2**40)
numbers = st.floats(0, allow_nan=False, allow_infinity=False)
fractions = st.floats(0, 1)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
unknown = st.dictionaries(texts.map(lambda name: f"new_{name}"), plain, max_size=2)
names = st.builds(lambda *parts: "/".join(parts), st.sampled_from(["train", "val", "test"]), texts)
states = st.builds(GitState, commit=texts, dirty=st.booleans(), unknown=unknown)
environments = st.builds(Environment, attnbench=texts, git=st.none() | states, host=st.none() | texts, unknown=unknown)
data = st.builds(
    DataRecord, fingerprint=texts, classes=positive, image_size=positive, all_classes=st.none() | counts,
    skipped_images=counts, unknown=unknown,
)  # fmt: skip
hardware = st.builds(
    HardwareRecord, accelerator=texts, devices=counts, device_name=texts, precision=texts, threads=counts,
    channels_last=st.none() | st.booleans(), block_length=st.none() | counts, unknown=unknown,
)  # fmt: skip
costs = st.builds(CostRecord, parameters=counts, multiply_adds=counts, executed_multiply_adds=counts,
                  attention_parameters=counts, attention_multiply_adds=counts)  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> RunRecord:
    """Any record, of a finished run or of one that ended early."""
    status = draw(st.sampled_from(["finished", "running", "failed", "interrupted"]))
    record = make_record(status)
    config = {**record.config, "attention": draw(st.dictionaries(texts, plain, max_size=3))}
    record = replace(
        record, identity=draw(texts), identity_scheme=draw(counts), seed=draw(counts), config=config,
        choices={**record.choices, **draw(st.dictionaries(texts, texts, max_size=2))}, error=draw(texts),
        environment=draw(environments), wall_seconds=draw(numbers), unknown=draw(unknown),
    )  # fmt: skip
    if not isinstance(record, FinishedRecord):
        return replace(record, data=draw(st.none() | data), resolved=draw(st.none() | hardware),
                       costs=draw(st.none() | costs))  # fmt: skip
    return replace(
        record, data=draw(data), resolved=draw(hardware), costs=draw(costs), epochs=2**41, images=draw(positive),
        metrics=draw(st.dictionaries(names, st.none() | fractions, max_size=4)), best_epoch=draw(st.none() | positive),
        peak_memory_bytes=draw(st.none() | counts), energy_joules=draw(st.none() | numbers),
        curve=draw(st.lists(st.tuples(counts, numbers), max_size=3)),
    )  # fmt: skip


@given(records())
def test_a_record_comes_back_as_it_was_written(record: RunRecord) -> None:
    content = json.loads(json.dumps(record.to_json(), allow_nan=False))
    found = RunRecord.from_json(content, "record.json")
    assert found == record
    assert type(found) is type(record)
    assert found.to_json() == content


def test_the_file_has_flat_names() -> None:
    content = record_json(evaluations={"last": entry_json()}, curve=[[1, 0.5]], later={"of": "a later version"})
    record = RunRecord.from_json(content, "record.json")
    assert isinstance(record, FinishedRecord)
    assert (record.costs.parameters, record.metrics["test/top1_accuracy"]) == (269_434, 0.9)
    assert record.evaluations["last"].accuracy == 0.9
    assert record.unknown == {"later": {"of": "a later version"}}
    assert record.to_json() == content


def test_unknown_keys_of_parts_are_written_back() -> None:
    content = record_json()
    content["data"] = {**content["data"], "license": "CC BY"}
    content["resolved"] = {**content["resolved"], "cores": [1, 2]}
    assert RunRecord.from_json(content, "record.json").to_json() == content


def test_numbers_that_are_not_finite_are_null_on_disk(own_folder: Path) -> None:
    record = make_finished(**{"test/loss": None})
    run = RunFolder(own_folder)
    run.write_record(replace(record, metrics={**record.metrics, "test/loss": float("nan")}))
    assert json.loads(run.record_file.read_text(), parse_constant=pytest.fail)["test/loss"] is None
    assert run.record() == record


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_read_as_missing(number: str, own_folder: Path) -> None:
    run = RunFolder(own_folder)
    run.record_file.write_text(json.dumps(record_json(**{"test/loss": "X"})).replace('"X"', number))
    record = run.record()
    assert isinstance(record, FinishedRecord)
    assert record.metrics["test/loss"] is None


DAMAGED: dict[bytes, str] = {
    b"": "it is empty",
    b" \n": "it is empty",
    json.dumps(record_json()).encode()[:700]: "it is no JSON (",
    b"\xff\xfe\x00": "it is not text in UTF-8",
    b"not JSON": "it is no JSON (Expecting value: line 1 column 1 (char 0))",
    b"[1, 2]": "it is no JSON object",
    b"null": "it is no JSON object",
    b"[" * 100_000: "it is nested too deeply",
    b'{"a": ' * 100_000: "it is nested too deeply",
    b'{"schema": ' + b"9" * 5000 + b"}": "it is no JSON (",
    b"{}": "schema must be a whole number from 1 to 2",
}


@pytest.mark.parametrize(("content", "reason"), DAMAGED.items(), ids=lambda value: repr(value)[:30])
def test_a_damaged_file_is_one_line(content: bytes, reason: str, own_folder: Path) -> None:
    run = RunFolder(own_folder / "seed0")
    run.path.mkdir()
    run.record_file.write_bytes(content)
    assert complaint(run).startswith(f"seed0/record.json: damaged: {reason}")


def test_a_folder_in_place_of_the_file_is_one_line(own_folder: Path) -> None:
    run = RunFolder(own_folder)
    run.record_file.mkdir()
    assert complaint(run) == ("record.json: damaged: it is a folder, not a file; restore the file, or move it away")


def test_a_file_that_cannot_be_read_is_one_line(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    (own_folder / "record.json").touch()
    assert complaint(RunFolder(own_folder)) == "record.json: cannot be read: Permission denied"


def complaint(run: RunFolder) -> str:
    with pytest.raises(UserError) as caught:
        run.record()
    message = str(caught.value)
    assert "\n" not in message
    assert run.state() == "damaged"
    return message


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"schema": "2"}, "schema must be a whole number from 1 to 2"),
    ({"schema": True}, "schema must be a whole number from 1 to 2"),
    ({"schema": 0}, "schema must be a whole number from 1 to 2"),
    ({"status": "done"}, 'status must be one of running, finished, failed, diverged, interrupted, and is "done"'),
    ({"status": ["finished"]}, "status must be one of running, finished, failed, diverged, interrupted, and is a list"),
    ({"identity": 7}, "identity must be text, and is 7"),
    ({"seed": "zero"}, 'seed must be a whole number, and is "zero"'),
    ({"seed": 1.0}, "seed must be a whole number, and is 1.0"),
    ({"seed": None}, "seed must be a whole number, and is null"),
    ({"wall_seconds": True}, "wall_seconds must be a finite number, and is true"),
    ({"wall_seconds": 10**400}, "wall_seconds must be a finite number, and is 1000"),
    ({"choices": []}, "choices must be a JSON object, and is a list"),
    ({"choices": {"data": 3}}, "choices.data must be text, and is 3"),
    ({"choices": {"data": "digits", "attention": "none"}}, "choices.backbone is missing"),
    ({"config": {}}, "config.backbone must be a JSON object"),
    ({"config": {**record_json()["config"], "recipe": {"epochs": 0}}}, "config.recipe.epochs must be a whole number"),
    ({"config": {**record_json()["config"], "data": {}}}, "config.data.batch_size must be a whole number"),
    ({"environment": {"git": None}}, "environment.attnbench is missing"),
    ({"environment": {"attnbench": "1", "git": "abc"}}, 'environment.git must be a JSON object, and is "abc"'),
    ({"environment": {"attnbench": "1", "git": {"commit": "a", "dirty": 1}}}, "environment.git.dirty must be true or"),
    ({"environment": {"attnbench": "1", "git": None, "packages": {"torch": 2}}}, "environment.packages.torch must be"),
    ({"resolved": {}}, "resolved.accelerator is missing"),
    ({"data": {**record_json()["data"], "classes": "ten"}}, 'data.classes must be a whole number, and is "ten"'),
    ({"parameters": "many"}, 'parameters must be a whole number, and is "many"'),
    ({"test/top1_accuracy": "0.9"}, 'test/top1_accuracy must be a finite number, and is "0.9"'),
    ({"best_epoch": 1.5}, "best_epoch must be a whole number, and is 1.5"),
    ({"curve": [[1]]}, "curve[0] must be a list of 2 values, and is a list"),
    ({"evaluations": {"last": {}}}, "evaluations.last.checkpoint is missing"),
    ({"evaluations": {"last": entry_json(epoch="4")}}, 'evaluations.last.epoch must be a whole number, and is "4"'),
    ({"error": "x" * 100, "written": 5}, "written must be text, and is 5"),
    ({"identity": ["a"] * 1000}, "identity must be text, and is a list"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_named_with_what_is_expected(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as caught:
        RunRecord.from_json(record_json(**changes), "runs/x/record.json")
    message = str(caught.value)
    assert message.startswith(f"runs/x/record.json: damaged: {reason}")
    assert message.endswith("; restore the file, or move it away")
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize("key", sorted(record_json()))
def test_what_every_finished_run_records_must_be_there(key: str) -> None:
    content = record_json()
    del content[key]
    if "/" in key or key == "identity_scheme":  # metrics that were not measured, and today's scheme
        RunRecord.from_json(content, "record.json")
        return
    with pytest.raises(UserError, match=f"^record.json: damaged: {key} (is missing|must be)"):
        RunRecord.from_json(content, "record.json")


def test_a_record_of_a_later_version_is_not_read() -> None:
    with pytest.raises(UserError, match=r"^record\.json: is of a later version of attnbench \(schema 3, .* 1 to 2\)$"):
        RunRecord.from_json(record_json(schema=3), "record.json")


# earlier versions


@pytest.mark.parametrize("path", [GOLDEN, *KEPT], ids=lambda path: "-".join(path.parts[-4:-1]))
def test_kept_records_are_migrated(path: Path) -> None:
    for line in path.read_text().splitlines():
        content = json.loads(line)
        record = RunRecord.from_json(content, path)
        assert isinstance(record, FinishedRecord)
        written = record.to_json()
        assert written["schema"] == 2
        assert written["identity_scheme"] == (1 if content["schema"] == 1 else content["identity_scheme"])
        for key, value in content.items():
            if key != "schema" and value != {}:
                assert written[key] == value, key
        assert RunRecord.from_json(written, path) == record


def test_an_unfinished_run_of_an_earlier_version_is_migrated() -> None:
    content = record_json("interrupted", schema=1)
    del content["identity_scheme"]
    record = RunRecord.from_json(content, "record.json")
    assert (record.status, record.schema, record.identity_scheme) == ("interrupted", 2, 1)
    assert content["schema"] == 1  # what was given is not changed


def test_a_record_that_was_written_is_read_again(own_folder: Path) -> None:
    run = RunFolder(own_folder)
    assert run.record() is None
    for status in ("running", "failed", "finished"):
        record = make_record(status)
        run.write_record(record)
        assert run.record() == record
        assert run.finished() is (status == "finished")
    write_json(run.record_file, {**record_json(), "status": "interrupted"})
    assert not run.finished()


def test_a_local_path_is_not_in_the_file_and_makes_no_other_record() -> None:
    here = replace(make_finished(), predictions=Path("predictions/last.npz"))
    assert here == make_finished()
    assert here.to_json() == make_finished().to_json()
    written = {**here.to_json(), "predictions": "later"}  # a later version's key of this name is kept as any other
    assert RunRecord.from_json(written, "x").to_json() == written
