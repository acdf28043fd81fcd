"""Files of tables: they are read, and each mistake is one line that names the file and the place."""

from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.tables.spec.load import load_profiles, load_table, table_files
from attnbench.tables.spec.table import Term, last_place, parse_number
from tests.tables.lab import PROFILES, TABLE, write_table


def test_a_table_is_read() -> None:
    folder = str(write_table())
    table = load_table("lab/tiny", folder)
    assert (table.name, table.title, table.baseline) == ("lab/tiny", "Tiny networks on digits", "plain")
    assert table.rows["se"].printed == {"error": "3.0", "parameters": "9.9k"}
    assert table.rows["se"].unverified == ("error",)
    assert table.claims[0].pairs == (("se", "plain"),)
    assert table.claims[0].column == "error"
    assert table.columns["error"].better == "lower"
    assert load_profiles(table, folder)["quick"].siblings["resnet20"] == ("backbone=resnet20", "backbone.depth=8")
    assert "bam/1b" in table_files(folder)


MISTAKES = {
    ("title: Tiny networks on digits", ""): "the table: lacks title",
    ("source: nowhere", "sauce: nowhere"): "the table: lacks source",
    ("notes: [Made up.]", "shows: [gide]"): "shows: gide: not one of speed, step",
    ("notes: [Made up.]", "nots: [Made up.]"): "the table: nots: no such key; did you mean notes?",
    ("notes: [Made up.]", "notes: Made up."): "notes: must be a list of notes",
    ("notes: [Made up.]", "notes: [{txt: Made up.}]"): "notes[0]: lacks text, profiles",
    ("notes: [Made up.]", "notes: [{text: Made up., profiles: quick}]"): "notes[0].profiles: must be a list of strings",
    ("notes: [Made up.]", "notes: [{text: Made up., profiles: []}]"): "notes[0].profiles: must name at least one",
    ("notes: [Made up.]", "notes: [{text: 1, profiles: [quick]}]"): "notes[0].text: must be a text",
    ("notes: [Made up.]", "profiles: {quick: {siblings: [a]}}"): "profiles.quick.siblings: must be a mapping",
    ("notes: [Made up.]", "profiles: {quick: {siblings: {a: b}}}"): "profiles.quick.siblings.a: must be a list",
    ("notes: [Made up.]", "profiles: {quick: {sibling: {}}}"): "profiles.quick: sibling: no such key; did you mean",
    ("notes: [Made up.]", "notes: [1]"): "notes[0]: must be a text, or a mapping with text and profiles",
    ("notes: [Made up.]", "notes: [{text: a, profiles: [quick], for: b}]"): "notes[0]: for: no such key",
    ("label: lost,", "label: lost, note: [a],"): "rows.lost.note: must be a text, or a mapping",
    ('"3.5"', "3.5"): "rows.plain.error: 3.5: put it in quotes",
    ('"3.5"', '"3.5 %"'): "rows.plain.error: 3.5 %: not a number",
    ("metric: top1_error", "metric: top1_eror"): "columns.error.metric: top1_eror: not one of top1_error",
    ("metric: top1_error", "metric: top1_error, epoch: initial"): "columns.error.epoch: initial: must be",
    ("baseline: plain", "baseline: plane"): "baseline: plane: no such row",
    ("[[se, plain]]", "[[se, plane]]"): "claims: plane: no such row",
    ("[[se, plain]]", "[[se, se]]"): "claims: pairs: [['se', 'se']]: must be pairs of different rows",
    ("pairs: [[se, plain]]", "column: error"): "claims: SE helps: needs one of pairs, equal, contrasts",
    ("pairs: [[se, plain]]", "equal: [[se, plain]]"): "claims: SE helps: equal: needs a margin",
    ("pairs: [[se, plain]]", "contrasts: [{se: 1, plane: -1}]"): "claims: plane: no such row; did you mean plain?",
    ("pairs: [[se, plain]]", "contrasts: [{se: 1, plain@eror: -1}]"): "claims: eror: no such column; did you mean",
    ("pairs: [[se, plain]]", "contrasts: [{se: 1, plain: 1}]"): "claims: contrasts: {'se': 1.0, 'plain': 1.0}: the num",
    ("pairs: [[se, plain]]", "contrasts: [{se: one}]"): "claims: contrasts: se: one: must be a number",
    ("pairs: [[se, plain]]", "pairs: [[se, plain]], margin: -1"): "claims: margin: -1: must be above 0",
    ("pairs: [[se, plain]]", "pairs: [[se, plain]], wording: read"): "claims: wording: read: must be one of seen, inf",
    ("pairs: [[se, plain]]", "pairs: [[se, plain]], column: errors"): "claims: errors: no such column",
    ("pairs: [[se, plain]]", "pairs: [[se]]"): "claims: pairs: [['se']]: must be pairs of different rows",
    ("unverified: [error]", "unverified: [errors]"): "rows.se.unverified: errors: not printed",
    ("label: lost,", "labl: lost,"): "rows.lost: lacks label",
    ("rows:", "rows: ["): "YAML: ",
    ("  lost:", "  off:"): "rows: YAML reads a key as false, which is no word: write it in quotes",
    ("title: Tiny networks on digits", "title: Tiny\n1: 2"): "the table: YAML reads a key as 1, which is no word",
    ("overrides: [attention=none]", "overrides: attention=none"): "overrides: must be a list of strings",
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.items(), ids=MISTAKES.values())
def test_a_mistake_in_a_table_is_an_error_that_says_where(change: tuple[str, str], message: str) -> None:
    assert change[0] in TABLE
    folder = write_table(TABLE.replace(*change, 1))
    with pytest.raises(UserError) as caught:
        load_table("lab/tiny", str(folder))
    assert str(caught.value).startswith(f"{folder.resolve()}/paper/lab/tiny.yaml: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_parts_of_a_claim_are_sums_of_cells() -> None:
    claims = """\
margin: 0.5
claims:
  - says: SE helps where it is said to
    pairs: [[se, plain]]
    equal: [[lost, plain]]
    contrasts: [{se: 2, plain@error: -2}]
    from: section 4
    wording: seen
  - {says: SE is on a par, equal: [[se, plain]], margin: 0.1}
"""
    table = load_table("lab/tiny", str(write_table(TABLE.replace("claims:\n", claims))))
    several, par, plain = table.claims
    assert [part.terms for part in several.parts] == [
        (Term("se", "error", 1), Term("plain", "error", -1)),
        (Term("lost", "error", 1), Term("plain", "error", -1)),
        (Term("se", "error", 2), Term("plain", "error", -2)),
    ]
    assert [part.equal for part in several.parts] == [False, True, False]
    assert (several.source, several.wording, several.margin) == ("section 4", "seen", 0.5)
    assert (par.margin, par.parts[0].equal) == (0.1, True)
    assert (plain.margin, plain.source, plain.wording) == (0.5, "", "inferred")


def test_a_table_that_is_no_text_is_named() -> None:
    Path("mine/paper/lab").mkdir(parents=True)
    Path("mine/paper/lab/own.yaml").write_bytes(b"title: \xff\n")
    with pytest.raises(UserError, match=r"lab/own\.yaml: it is not text in UTF-8$"):
        load_table("lab/own", "mine")


def test_an_unknown_table_is_an_error_with_a_hint() -> None:
    with pytest.raises(UserError, match=r"bam/1bb: no such table; did you mean bam/1b\?; attnbench list paper"):
        load_table("bam/1bb")


def test_a_table_changes_a_profile() -> None:
    changes = "profiles: {quick: {overrides: [recipe.lr=0.4], siblings: {resnet20: [backbone=wrn10_1]}}}\n"
    folder = str(write_table(TABLE + changes))
    table = load_table("lab/tiny", folder)
    quick = load_profiles(table, folder)["quick"]
    assert quick.overrides == ("recipe.epochs=1", "recipe.lr=0.4")
    assert quick.siblings["resnet20"] == ("backbone=wrn10_1",)
    other = str(write_table(name="other"))
    assert load_profiles(load_table("lab/other", other), other)["quick"].siblings["resnet20"][0] == "backbone=resnet20"


def test_a_mistake_in_the_profiles_is_an_error_that_says_where() -> None:
    for change, message in (
        (("paper: {says: as written}", "mine: {}"), "profiles.yaml: mine: lacks says"),
        (("says: as written", "say: as written"), "profiles.yaml: paper: say: no such key; did you mean says"),
        (("overrides: [recipe.epochs=1]", "overrides: 1"), "profiles.yaml: overrides: must be a list"),
        (("overrides: [recipe.epochs=1]", "left_out: [vgg16]"), "profiles.yaml: quick.left_out: must give a reason"),
    ):
        folder = str(write_table(profiles=PROFILES.replace(*change)))
        with pytest.raises(UserError, match=message):
            load_profiles(load_table("lab/tiny", folder), folder)
    folder = str(write_table(TABLE + "profiles: {quik: [seed=1]}\n"))
    with pytest.raises(UserError, match="profiles: quik: no such profile"):
        load_profiles(load_table("lab/tiny", folder), folder)


NOTE = "{text: Only there., profiles: [quik]}"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (TABLE.replace("[Made up.]", f"[Made up., {NOTE}]"), r"notes\[1\]"),
        (TABLE.replace("label: lost,", f"label: lost, note: {NOTE},"), "rows.lost.note"),
    ],
)
def test_a_profile_of_a_note_must_exist(text: str, where: str) -> None:
    folder = str(write_table(text))
    with pytest.raises(UserError, match=rf"^lab/tiny: {where}: quik: no such profile \(there are paper, short, "):
        load_profiles(load_table("lab/tiny", folder), folder)


@pytest.mark.parametrize(
    ("text", "number", "last"),
    [("20.00", 20, 0.01), ("24.07M", 24.07e6, 1e4), (".245G", 0.245e9, 1e6), ("68M", 68e6, 1e6), ("21", 21, 1)],
)
def test_printed_numbers_have_a_value_and_a_last_place(text: str, number: float, last: float) -> None:
    assert parse_number(text) == pytest.approx(number)
    assert last_place(text) == pytest.approx(last)


def test_each_section_may_have_its_baseline() -> None:
    text = TABLE.replace("baseline: plain", "baseline: section").replace(
        "{label: plain,", "{label: plain, section: one,"
    )
    table = load_table("lab/tiny", str(write_table(text.replace("{label: SE,", "{label: SE, section: one,"))))
    assert [table.baseline_of(row) for row in table.rows] == ["", "plain", ""]
    whole = load_table("lab/tiny", str(write_table()))
    assert [whole.baseline_of(row) for row in whole.rows] == ["", "plain", "plain"]


def test_rows_are_named_so_that_they_differ() -> None:
    found = load_table("bam/1c")
    assert [found.name_of(row) for row in list(found.rows)[:3]] == ["ResNet50", "ResNet50 + ResBlock", "ResNet50 + BAM"]
    for name in table_files():
        own = load_table(name)
        assert len({own.name_of(row) for row in own.rows}) == len(own.rows), name
