"""The folder of a report: written whole or not at all, in place of an earlier report only."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attnbench.errors import UserError
from attnbench.report import folder as writer
from attnbench.report.folder import check_place, clear_litter, write_report
from attnbench.runs.disk import WriteError

SITE = Path("site")
FILES = {"index.html": "<p>first</p>", "table.csv": "a,b\n"}


def content(place: Path = SITE) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.iterdir() if path.name != "report.json"}


def test_a_report_takes_the_place_of_an_earlier_one() -> None:
    write_report(SITE, FILES, {})
    write_report(SITE, {"index.html": "second"}, {"runs": ["a/seed0"]})
    assert content() == {"index.html": "second"}
    assert [path.name for path in Path().iterdir()] == ["site"]


def test_an_empty_folder_and_new_parents_are_fine() -> None:
    SITE.mkdir()
    write_report(SITE, FILES, {})
    write_report(Path("new/one"), FILES, {})
    assert content() == content(Path("new/one")) == FILES


def test_a_link_stays_and_the_folder_behind_it_is_replaced() -> None:
    Path("real").mkdir()
    SITE.symlink_to("real")
    for text in ("first", "second"):
        write_report(SITE, {"index.html": text}, {})
    assert SITE.is_symlink()
    assert content(Path("real")) == {"index.html": "second"}
    assert sorted(path.name for path in Path().iterdir()) == ["real", "site"]


def test_the_current_folder_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    (SITE / "below").mkdir(parents=True)
    monkeypatch.chdir(SITE / "below")
    for place in (".", ".."):
        with pytest.raises(UserError, match=f"--to {place}: a report replaces its folder, and this is the current"):
            check_place(Path(place))


@pytest.mark.parametrize("step", ["write_all", "_put_in_place"])
def test_what_goes_wrong_leaves_the_earlier_report(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(SITE, FILES, {})
    real = getattr(writer, step)

    def fail(*arguments: object) -> None:
        if step == "write_all":
            real(*arguments)
        raise UserError("no space")

    monkeypatch.setattr(writer, step, fail)
    with pytest.raises(UserError, match="no space"):
        write_report(SITE, {"index.html": "second"}, {})
    assert content() == FILES
    assert [path.name for path in Path().iterdir()] == ["site"]


def test_a_report_that_cannot_be_moved_into_place_leaves_the_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(SITE, FILES, {})
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".new." in self.name:
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(WriteError, match="site: cannot be written: Permission denied"):
        write_report(SITE, {"index.html": "second"}, {})
    assert content() == FILES


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("notes.txt", "mine", "holds something else than a report"),
        ("report.json", '{"kind": "other"}', "holds something else than a report"),
        ("report.json", "[", "site/report.json: damaged"),
    ],
)
def test_other_folders_are_left_alone(name: str, text: str, message: str) -> None:
    SITE.mkdir()
    (SITE / name).write_text(text)
    with pytest.raises(UserError, match=message):
        write_report(SITE, FILES, {})
    assert [path.name for path in SITE.iterdir()] == [name]


def test_a_file_that_was_added_to_a_report_is_named() -> None:
    write_report(SITE, FILES, {})
    (SITE / "own.txt").write_text("mine")
    with pytest.raises(UserError, match=r"own\.txt is no part of the report there; move it away"):
        check_place(SITE)
    Path("file").write_text("")
    with pytest.raises(UserError, match="it is a file; name a folder"):
        check_place(Path("file"))


def test_a_full_disk_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise WriteError(f"{path.name}: cannot be written: No space left on device")

    monkeypatch.setattr("attnbench.runs.files.write_atomically", full)
    with pytest.raises(WriteError, match="No space left on device"):
        write_report(SITE, FILES, {})
    assert not SITE.exists()


def test_what_a_killed_process_left_is_removed_and_an_earlier_report_put_back() -> None:
    write_report(SITE, FILES, {})
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for kind in ("new", "old"):
        shutil.copytree(SITE, f".site.{kind}.{ended.pid}")
    Path(f".site.new.{os.getpid()}").mkdir()  # of a process that lives
    Path(".site.new.backup").mkdir()
    shutil.rmtree(SITE)
    clear_litter(SITE)
    assert content() == FILES
    kept = {"site", f".site.new.{os.getpid()}", ".site.new.backup"}
    assert {path.name for path in Path().iterdir()} == kept
