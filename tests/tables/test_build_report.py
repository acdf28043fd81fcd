"""Remarks and notes of a table about its runs: seeds, failures, changes, versions and files."""

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attnbench.cli.main import main
from attnbench.tables.settings_remark import settings_remark
from tests.runs.samples import entry_json
from tests.tables.lab import PROFILES, TABLE, write_table
from tests.tables.sample_results import RECORD

GOLDEN = Path(__file__).parent / "golden" / "records.jsonl"
KEPT = Path("outputs/reproduced/lab/tiny/paper")
Record = dict[str, Any]
Show = Callable[..., str]


@pytest.fixture
def records() -> list[Record]:
    """Three seeds of `none`, then three of `se`."""
    found = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    return sorted(found, key=lambda record: (record["choices"]["attention"], record["seed"]))


def keep(records: list[Record]) -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def put(record: Record, **changes: object) -> Path:
    """Write a record to the folder of its run."""
    folder = Path(f"outputs/runs/x-{record['identity']}/seed{record['seed']}")
    folder.mkdir(parents=True)
    (folder / "record.json").write_text(json.dumps({**record, **changes}))
    return folder


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Show:
    def run(*words: str, text: str = TABLE, profiles: str = PROFILES, form: str = "markdown") -> str:
        write_table(text, profiles)
        assert main(["table", "lab/tiny", *words, "--config-dir", "mine", "--format", form]) == 0
        return capsys.readouterr().out

    return run


def row_of(markdown: str, label: str) -> str:
    return next(line for line in markdown.splitlines() if line.startswith(f"| {label}"))


def test_remarks_give_the_number_of_seeds(records: list[Record], show: Show) -> None:
    keep(records)
    assert "Each cell has 3 seeds." in show()
    keep(records[:4])
    out = show()
    assert "Cells have 1 to 3 seeds; notes mark those with fewer than 3." in out
    (number,) = re.findall(r"^(\d)\. 1 seed: no spread$", out, re.MULTILINE)
    assert f"<sup>{number}</sup>" in row_of(out, "SE").split("|")[2]
    assert "<sup>" not in row_of(out, "plain").split("|")[2]


def test_equal_values_of_all_seeds_give_no_interval(records: list[Record], show: Show) -> None:
    for mine, other in zip(records[3:], records, strict=False):
        mine["test/top1_accuracy"], other["test/top1_accuracy"] = 0.5, 0.625
    keep(records)
    assert row_of(show(), "SE").split("|")[4].strip() == "+12.50"
    header, _, row, _ = (line.split(",") for line in show(form="csv").splitlines())
    cells = dict(zip(header, row, strict=True))
    assert (cells["error.difference.low"], cells["error.difference.p"]) == ("", "")
    assert "the 3 seeds differ by equal amounts, so there is no spread" in show()


def test_networks_close_to_chance_are_marked_and_not_judged(records: list[Record], show: Show) -> None:
    for record, accuracy in zip(records, (0.5, 0.51, 0.52, 0.11, 0.12, 0.1), strict=True):
        record["test/top1_accuracy"] = accuracy
    keep(records)
    out = show()
    reason = "not trained: its accuracy of 11.0 % is below 30 % (chance: 10 %)"
    assert re.search(rf"\*\*not trained\*\* +\| \*\*SE helps\*\* \(SE is {re.escape(reason)}", out)
    (number,) = re.findall(rf"^(\d)\. {re.escape(reason)}$", out, re.MULTILINE)
    assert f"<sup>{number}</sup>" in row_of(out, "SE").split("|")[2]
    assert "not trained" not in show(text=TABLE + "least_over_chance: 1.05\n")


@pytest.mark.parametrize(("printed", "shown"), [("60.2", "60.2"), ("95.0", "95.0 ≠")])
def test_printed_numbers_outside_the_prediction_interval_are_marked(
    printed: str, shown: str, records: list[Record], show: Show
) -> None:
    for record, accuracy in zip(records, (0.38, 0.4, 0.42, 0.5, 0.51, 0.52), strict=True):
        record["test/top1_accuracy"] = accuracy
    keep(records)
    out = show(text=TABLE.replace('"3.5"', f'"{printed}"').replace('"3.0"', '"49.0"'))
    assert row_of(out, "plain").split("|")[5].strip().split("<")[0] == shown
    assert ("outside the 95 % prediction interval of our runs for one new run" in row_notes(out)) == ("≠" in shown)


def row_notes(markdown: str) -> str:
    return markdown.partition("Notes:")[2].partition("Claims:")[0]


@pytest.mark.parametrize("finished", [0, 2])
def test_failed_runs_are_noted(finished: int, records: list[Record], show: Show) -> None:
    keep(records[: 3 + finished])
    put(records[5], status="failed")
    out = show()
    assert "runs without a result: 1 failed" in out
    assert row_of(out, "SE").split("|")[2].count("<sup>") == 1


def test_a_failed_run_with_an_archived_result_is_not_noted(records: list[Record], show: Show) -> None:
    keep(records)
    put(records[5], status="failed")
    assert "without a result" not in show()


def test_typed_overrides_are_in_the_title(show: Show) -> None:
    assert show("recipe.epochs=3", "output=there").startswith(
        "### lab/tiny · Tiny networks on digits · recipe.epochs=3\n"
    )


def test_smaller_networks_are_never_shown_beside_the_papers_numbers(show: Show) -> None:
    out = show("--profile", "quick")
    assert "profile quick" in out.splitlines()[0]
    assert "paper" not in out.split("Claims:")[0]
    assert "≠" not in out


def test_claims_with_the_same_words_name_their_columns(show: Show) -> None:
    columns = "columns:\n  second: {label: other digits, metric: top1_error, overrides: [recipe.epochs=1]}\n"
    more = "claims:\n  - {says: SE helps, pairs: [[se, plain]], column: error}\n"
    out = show(text=TABLE.replace("columns:\n", columns).replace("claims:\n", more))
    assert "SE helps (digits)" in out
    assert "SE helps (other digits)" in out


def test_printed_numbers_with_several_unit_prefixes_sort_as_numbers(show: Show) -> None:
    page = show(form="html")
    assert re.search(r'data-sort="9900\.0"[^>]*><span class="value">9\.9k', page)


def test_remarks_report_changed_code_and_different_files(records: list[Record], show: Show) -> None:
    for record in records:
        record["environment"]["git"] = {"commit": "abcdef0123", "dirty": False}
    keep(records)
    assert "version" not in show()
    for record in records[:3]:
        record["environment"]["git"] = None  # of an installed package
    keep(records)
    assert "The runs come from 2 versions of the code: 0.1.0, abcdef0." in show()
    for record in records:
        record["environment"]["git"] = {"commit": "abcdef0123", "dirty": True}
    records[5]["data"]["fingerprint"] = "other files"
    keep(records)
    out = show()
    assert "The runs come from the code's version abcdef0 with uncommitted changes." in out
    assert "digits: some runs of a column were trained on other files than others." in out


def test_a_remark_says_which_column_costs_belong_to(records: list[Record], show: Show) -> None:
    columns = "columns:\n  short: {label: short, metric: top1_error, overrides: [recipe.epochs=1]}\n"
    text = TABLE.replace("columns:\n", columns)
    assert "Costs are those of the networks for the first column, short." in show(text=text)
    keep(records)
    row = row_of(show("--columns", "default,speed", text=text), "SE")
    assert "1,465" in row  # measured in the column that has runs
    assert "Costs" not in show()


RESPONSES = "columns:\n  two: {label: two, metric: response, stage: stage2}\n"


@pytest.mark.parametrize(
    ("first", "second", "shown"), [(2.0, 1.0, "0.50"), (0.0, 1.0, None), (1.0, float("nan"), None)]
)
def test_responses_that_are_not_finite_are_left_out(
    first: float, second: float, shown: str | None, records: list[Record], show: Show
) -> None:
    for record in records:
        responses = {"test/response/stage1": first, "test/response/stage2": second}
        record["evaluations"] = {"last responses": entry_json(**responses)}
    keep(records)
    out = show(text=TABLE.replace("columns:\n", RESPONSES))
    assert ("responses are 0 or not finite" in out) == (shown is None)
    assert shown is None or shown in row_of(out, "SE")
    assert "**0.50" not in out  # no response is the best


def test_equal_parameters_leave_accuracy_per_million_empty(records: list[Record], show: Show) -> None:
    text = TABLE.replace("metric: top1_error", "metric: accuracy_per_million")
    keep([{**record, "parameters": 17000} for record in records])
    assert "it has as many parameters as the baseline" in show(text=text)


def test_a_damaged_record_is_an_error_in_one_line(records: list[Record], capsys: pytest.CaptureFixture[str]) -> None:
    write_table()
    path = put({"schema": 1, "status": "finished", **{key: records[0][key] for key in ("identity", "seed")}})
    assert main(["table", "outputs/runs/*"]) == 2
    error = capsys.readouterr().err
    assert f"{path}/record.json: damaged: choices is missing" in error
    assert error.count("\n") == 1
    KEPT.mkdir(parents=True)
    (KEPT / "records.jsonl").write_text("[1]\n")
    (path / "record.json").unlink()
    assert main(["table", "lab/tiny", "--config-dir", "mine"]) == 2
    assert "records.jsonl, line 1: damaged: it is no JSON object" in capsys.readouterr().err


def test_a_damaged_run_is_left_out_with_a_warning(
    records: list[Record], show: Show, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(records[:5])
    path = put(records[5]) / "record.json"
    path.write_text(path.read_text()[:500])
    assert "Cells have 2 to 3 seeds" in show()
    assert f"skipped: {path}: damaged: it is no JSON" in caplog.text
    caplog.clear()
    put(records[0])
    assert main(["table", "outputs/runs/*", "--format", "markdown"]) == 0
    assert "1 run" in capsys.readouterr().out
    assert f"skipped: {path}: damaged" in caplog.text


def test_a_missing_package_empties_only_the_costs_of_its_row(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [module for module in sys.modules if module.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "timm", None)  # what Python takes for a package that is missing
    out = show(text=TABLE.replace("attention=se", "attention=timm/se"))
    (number,) = re.findall(r"^(\d)\. this attention is timm's, .*'attnbench", out, re.MULTILINE)
    assert f"–<sup>{number}</sup>" in row_of(out, "SE")
    assert "4.3k" in row_of(out, "plain")


def test_claims_are_judged_without_the_rows_that_a_profile_leaves_out(records: list[Record], show: Show) -> None:
    keep(records)
    row = "  wide: {label: wide, overrides: [backbone=wrn10_1, attention=none]}\n  lost:"
    text = TABLE.replace("  lost:", row).replace("[[se, plain]]", "[[se, plain], [wide, plain]]")
    assert re.search(r"1 part inconclusive, 1 not run; no runs|1 part not run, 1 supported; no runs", show(text=text))
    left_out = PROFILES.replace("says: as written", "says: as written, left_out: {wrn10_1: it does not learn}")
    out = show(text=text, profiles=left_out)
    assert "1 of 2 parts left out by the profile" in out
    assert "no runs" not in out
    assert re.search(r"^\d\. it does not learn$", out, re.MULTILINE)


RESTRICTED = TABLE.replace(
    "[Made up.]", "[Made up., {text: The recipe is theirs., profiles: [paper]}, {text: Tiny., profiles: [quick]}]"
).replace("label: lost,", "label: lost, note: {text: Too large., profiles: [paper]},")


def test_notes_are_printed_under_their_profiles_alone(records: list[Record], show: Show) -> None:
    keep(records)
    paper = show(text=RESTRICTED)
    assert "Made up." in paper
    assert "The recipe is theirs." in paper
    assert "Too large." in paper
    assert "Tiny." not in paper
    quick = show("--profile", "quick", text=RESTRICTED)
    assert "Made up." in quick
    assert "Tiny." in quick
    assert "The recipe is theirs." not in quick
    assert "Too large." not in quick


SAME_RUNS = PROFILES + "mine: {says: the same runs}\n"


def test_a_profile_other_than_the_papers_prints_the_settings_of_its_runs(records: list[Record], show: Show) -> None:
    for record in records:
        record["data"] |= {"train_images": 900, "test_images": 397}
    keep(records)
    assert "Runs were trained on" not in show()
    KEPT.rename(KEPT.with_name("mine"))
    out = show("--profile", "mine", profiles=SAME_RUNS)
    expected = (
        "Runs were trained on 900 images of digits, 8 pixels wide, tested on 397; recipe one_cycle, 2 epochs, "
        "learning rate 0.4, batch size 128, starting weights random."
    )
    assert expected in out


def test_settings_that_differ_between_rows_are_ranges_or_said_to_differ() -> None:
    sets = dataclasses.replace
    config = RECORD.config
    other = {
        **config,
        "backbone": {**config["backbone"], "weights": "a.ckpt", "stem": "imagenet"},
        "recipe": {**config["recipe"], "lr": 0.05},
        "data": {**config["data"], "batch_size": 64},
    }
    data = sets(RECORD.data, train_images=300, test_images=None, image_size=16)
    second = sets(RECORD, config=other, data=data, epochs=4, choices={**RECORD.choices, "data": "mnist"})
    first = sets(RECORD, data=sets(RECORD.data, train_images=1200, test_images=397))
    assert settings_remark([first, second]) == (
        "Runs were trained on 300 to 1,200 images of digits and mnist, 8 to 16 pixels wide, tested on 397; recipe "
        "one_cycle, 2 to 4 epochs, learning rate 0.05 to 0.4, batch size 64 to 128, starting weights: differs by row, "
        "stem: differs by row."
    )
    assert settings_remark([second]).endswith("starting weights a.ckpt, stem imagenet.")
    assert settings_remark([]) == ""
