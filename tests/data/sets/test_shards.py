"""Webdataset's tar files: the same images as in folders, whatever the labels' form, and damage reported by name."""

import os
import re
import tarfile
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.sources import tar_index
from attnbench.data.sources.left_out import warn_once
from attnbench.errors import UserError
from attnbench.training.plan import plan
from tests.data.packs import listed, packed_set, samples, write_shards, write_tar
from tests.data.pictures import CPU, SMALL, folder_set, make_loader, write_folder


@pytest.fixture
def folder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image folder, and an empty cache beside it."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return write_folder(own_folder / "folder")


@pytest.fixture
def root(folder: Path, own_folder: Path) -> Path:
    return write_shards(folder, own_folder / "set")


@pytest.mark.parametrize("below", [False, True])
@pytest.mark.parametrize("label", ["cls", "label", "species"])
def test_images_and_classes_are_those_of_the_folder(label: str, below: bool, folder: Path, own_folder: Path) -> None:
    root = write_shards(folder, own_folder / "set", label=label, below=below)
    data, expected = packed_set("shards", root, *(["data.label=species"] * (label == "species"))), folder_set(folder)
    data.check_available()
    assert data.classes == (("0", "1", "2") if label == "cls" else ("ant", "bee", "cat"))
    assert data.splits == expected.splits == ("train", "validation", "test")
    for split in data.splits:
        ours, theirs = data.load(split), expected.load(split)
        assert np.array_equal(ours.labels, theirs.labels)
        assert np.array_equal(ours.images, theirs.images)


@pytest.mark.parametrize("overrides", [("data.workers=2",), ("data.workers=0", "data.cache=disk")])
def test_training_batches_are_those_of_the_folder(overrides: Sequence[str], folder: Path, root: Path) -> None:
    """Also when several workers read the same tar files at the same time."""
    factory = LoaderFactory(packed_set("shards", root, *overrides), CPU)
    with closing(factory):
        ours, theirs = factory.make("train", 0), make_loader(folder_set(folder), "train", 0)
        for epoch in (0, 1):
            for (images, labels), (images2, labels2) in zip(ours.epoch(epoch), theirs.epoch(epoch), strict=True):
                assert torch.equal(images, images2)
                assert torch.equal(labels, labels2)


def test_numbers_are_in_the_order_of_numbers(folder: Path, own_folder: Path) -> None:
    path, _ = listed(folder, "train")[0]
    members = [("a.jpg", path.read_bytes()), ("a.cls", b"10\n"), ("b.jpg", path.read_bytes()), ("b.cls", b" 9")]
    write_tar(own_folder / "set" / "train.tar", members)
    data = packed_set("shards", own_folder / "set")
    assert data.classes == ("9", "10")
    assert data.listed("train").labels.tolist() == [1, 0]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_and_places_in_a_tar_file_do_not_matter(form: int, folder: Path, own_folder: Path) -> None:
    """Long names, capitals, folders, dots, foreign files, labels far from their images."""
    images = listed(folder, "train")[:2]
    long, content = f"./{'deep/' * 12}{'n' * 60 if form == tarfile.USTAR_FORMAT else 'ä' * 150}", b"{}"
    members = [
        ("./._k.jpg", b"of macOS"), ("k.JPG", images[0][0].read_bytes()), ("k.seg.png", b"a mask"), ("readme", b"me"),
        (f"{long}.jpeg", images[1][0].read_bytes()), (f"{long}.json", content), (f"{long}.cls", b"1"), ("k.cls", b"0"),
    ]  # fmt: skip
    write_tar(own_folder / "set" / "train.tar", members, form=form)
    found = packed_set("shards", own_folder / "set").listed("train")
    assert [found.read(index) for index in range(2)] == [path.read_bytes() for path, _ in images]
    assert found.name(0) == f"{own_folder / 'set' / 'train.tar'}: k"
    assert found.name(1) == f"{own_folder / 'set' / 'train.tar'}: {long}"
    assert found.labels.tolist() == [0, 1]


def test_samples_with_dots_in_their_names_are_used(folder: Path, own_folder: Path) -> None:
    images = listed(folder, "train")[:14]
    members = []
    for number, (path, label) in enumerate(images):
        key = f"bird {number // 2}.{number % 2}" if number < 12 else f"x{number}"
        kind = path.suffix if number < 12 else f".input{path.suffix}"
        members += [(f"{key}{kind}", path.read_bytes()), (f"{key}.cls", str(label).encode())]
    write_tar(own_folder / "set" / "train.tar", members)
    found = packed_set("shards", own_folder / "set").listed("train")
    assert [found.read(index) for index in range(14)] == [path.read_bytes() for path, _ in images]
    assert found.labels.tolist() == [label for _, label in images]


@pytest.mark.parametrize(
    "names", [("Training", "valid", "testing"), ("train", "dev", "eval"), ("train", "Valid", "TEST")]
)
@pytest.mark.parametrize("below", [False, True])
def test_splits_have_many_names(below: bool, names: Sequence[str], folder: Path, own_folder: Path) -> None:
    root = write_shards(folder, own_folder / "set", below=below)
    for old, new in zip(("train", "val", "test"), names, strict=True):
        for path in sorted(root.glob(f"{old}*")):
            path.rename(path.with_name(path.name.replace(old, new)))
    data = packed_set("shards", root)
    data.check_available()
    assert {split: len(data.listed(split)) for split in data.splits} == {"train": 21, "validation": 9, "test": 9}


def test_what_is_not_used_is_counted_every_time(root: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "birds.tar").write_bytes(b"")
    (root / "notes.txt").write_bytes(b"")
    (root / "extra").mkdir()
    rewrite(lambda members: members.append(("0001.txt", b"a bee")))(folder, root)
    for _ in range(2):  # also when the index comes from the cache
        warn_once.cache_clear()
        caplog.clear()
        packed_set("shards", root).check_available()
        (message,) = [message for message in caplog.messages if "not used" in message]
        assert message.partition(": not used: ")[0] == f"data=shards: {root}"
        assert set(re.findall(r"[.\w][^()]*\(.*?\)", message.partition(": not used: ")[2])) == {
            "of no split 2 (birds.tar, …)",
            ".txt 2 (notes.txt, …)",
        }


def test_a_pipe_is_no_tar_file(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    os.mkfifo(root / "train-000009.tar")
    packed_set("shards", root).check_available()  # which would wait for ever
    assert caplog.messages[-1].endswith("not used: pipes or devices 1 (train-000009.tar)")


def rewrite(change: Callable[[list[tuple[str, bytes]]], Any], label: str = "cls") -> Callable[[Path, Path], None]:
    """Changes the first tar file of the training set; its samples are 0000 to 0007."""

    def write(folder: Path, root: Path) -> None:
        members = samples(listed(folder, "train")[:8], label=label)
        change(members)
        write_tar(root / "train-000000.tar", members)

    return write


def without(name: str) -> Callable[[Path, Path], None]:
    return rewrite(lambda members: members.remove(next(member for member in members if member[0] == name)))


def labelled(name: str, content: bytes) -> Callable[[Path, Path], None]:
    def change(members: list[tuple[str, bytes]]) -> None:
        place = next(place for place, member in enumerate(members) if member[0].partition(".")[0] == name)
        members[place] = (members[place][0], content)

    return rewrite(change, "label" if content.startswith(b"{") else "cls")


def cut(at: Callable[[bytes], int]) -> Callable[[Path, Path], None]:
    def write(folder: Path, root: Path) -> None:
        path = root / "train-000000.tar"
        path.write_bytes(path.read_bytes()[: at(path.read_bytes())])

    return write


def end_of_a_member(content: bytes) -> int:
    """Where the header of the third sample's label begins: a file cut here consists of whole members."""
    return content.index(b"0002.cls")


def other(folder: Path, root: Path) -> None:
    write_tar(root / "test-000009.tar", [("a.jpg", b""), ("a.cls", b"7")])


def compressed(folder: Path, root: Path) -> None:
    write_tar(root / "train-000000.tar.gz", samples(listed(folder, "train")[:2]), "w:gz")


def disguised(folder: Path, root: Path) -> None:
    write_tar(root / "train-000000.tar", samples(listed(folder, "train")[:2]), "w:gz")


def foreign(folder: Path, root: Path) -> None:
    for path in root.glob("train*"):
        write_tar(path, [("a.txt", b"")])


def gone(folder: Path, root: Path) -> None:
    for path in root.glob("train*"):
        path.unlink()


def empty(name: str) -> Callable[[Path, Path], None]:
    def write(folder: Path, root: Path) -> None:
        write_tar(root / name, [])

    return write


MISTAKES: dict[str, Callable[[Path, Path], None]] = {
    "train-000000.tar: 0002 has no image (jpg jpeg png webp ": without("0002.jpg"),
    "train-000000.tar: 0002 has no label: no .cls or .json": without("0002.cls"),
    "train-000000.tar: 0001.cls is in it twice": rewrite(lambda members: members.append(("0001.cls", b"2"))),
    "train-000000.tar: 0001 has two images, .jpg and .webp": rewrite(lambda found: found.append(("0001.webp", b"2"))),
    "train-000000.tar: 0003.cls: 'bee' is not a class number": labelled("0003", b"bee"),
    "train-000000.tar: 0003.cls: '-1' is not a class number": labelled("0003", b"-1"),
    "train-000000.tar: 0003.json: no field label (it has id); data.label names": labelled("0003", b'{"id": 3}'),
    "train-000000.tar: 0003.json: label is 0.5, neither a class number nor": labelled("0003", b'{"label": 0.5}'),
    "train-000000.tar: 0003.json: Expecting": labelled("0003", b'{"label": '),
    "train-000000.tar: 0003.json: its JSON is nested too deeply": labelled("0003", b'{"a": ' * 100_000),
    "train-000000.tar: 0003.cls: 16,777,217 bytes are too many for a label": labelled("0003", b"1" * (2**24 + 1)),
    "train-000000.tar: labels are partly names and partly numbers, such as those of 0000 and 0003": labelled(
        "0003", b'{"label": 3}'
    ),
    "train-000001.tar: its labels are numbers, unlike those of train-000000.tar": rewrite(lambda _: None, "label"),
    "train-000000.tar: no samples": foreign,
    "train-000000.tar: not a complete tar file: unexpected end of data": cut(lambda content: len(content) // 2),
    "train-000000.tar: not a complete tar file: it is damaged or cut short at byte": cut(end_of_a_member),
    "train-000000.tar: not a complete tar file: it is damaged or cut short": cut(
        lambda found: end_of_a_member(found) + 9
    ),
    "train-000000.tar: not a complete tar file: empty file": cut(lambda _: 0),
    "train-000000.tar.gz is compressed": compressed,
    "train-000000.tar: not a complete tar file": disguised,
    "test has classes that train lacks: 7": other,
    "no tar files of train": gone,
    "train/a.tar both belong to train; keep": empty("train/a.tar"),
    "holds both val and validation": empty("validation.tar"),
}


@pytest.mark.parametrize("expected", MISTAKES)
def test_mistakes_are_one_line(expected: str, folder: Path, root: Path) -> None:
    MISTAKES[expected](folder, root)
    with pytest.raises(UserError) as caught:
        packed_set("shards", root).check_available()
    message = str(caught.value)
    assert message.startswith("data=shards: ")
    assert expected in message
    assert str(root) in message
    assert "\n" not in message


def test_shards_are_indexed_once_and_again_when_they_change(
    folder: Path, root: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned: list[str] = []
    scan = tar_index.scan

    def noting(path: Path, number: int, label: str) -> tar_index.Index:
        scanned.append(path.name)
        return scan(path, number, label)

    def look(*overrides: str) -> int:
        scanned.clear()
        packed_set("shards", root, *overrides).check_available()
        return len(scanned)

    monkeypatch.setattr(tar_index, "scan", noting)
    assert look() == len(list(root.glob("*.tar"))) == 7
    assert look() == look("data.resize=40") == 0
    images = listed(folder, "test")
    write_tar(root / "test-000001.tar", samples(images[8:] + images[:1], 8))
    assert look() == 2
    for path in (own_folder / "cache").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="indexing again"):
        assert look() == 7
    assert look() == 0


def test_without_a_cache_folder_it_takes_longer(root: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "file").write_bytes(b"")
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "file" / "cache"))
    with pytest.warns(UserWarning, match="cannot cache the index of the shards in"):
        assert len(packed_set("shards", root).listed("train")) == 21


def test_an_index_in_a_read_only_cache_folder_is_used(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed_set("shards", root).check_available()

    def refuse(*_: object) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(tar_index, "cache_lock", refuse)
    monkeypatch.setattr(tar_index, "scan", refuse)
    assert len(packed_set("shards", root).listed("train")) == 21


def spoil(root: Path) -> None:
    """Overwrite the content of sample 0010 of `train`, which is the third of the second tar file."""
    path = root / "train-000001.tar"
    with tarfile.open(path) as archive:
        member = next(member for member in archive if member.name.startswith("0010.") and "cls" not in member.name)
    content = bytearray(path.read_bytes())
    content[member.offset_data : member.offset_data + member.size] = bytes(member.size)
    path.write_bytes(content)


def test_bad_images_are_named_or_skipped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    spoil(root)
    with pytest.raises(UserError, match=r"train-000001\.tar: 0010: cannot be decoded: not an image"):
        packed_set("shards", root).load("train")
    made = make_loader(packed_set("shards", root, "data.on_bad_image=skip"), "train", 0)
    assert (made.skipped, made.count) == (1, 20)
    assert caplog.messages[-1].endswith(f"leaves out what cannot be decoded: {root / 'train-000001.tar'}: 0010")


def test_a_shard_that_shrinks_meanwhile_is_never_skipped(root: Path) -> None:
    data = packed_set("shards", root, "data.on_bad_image=skip")
    data.check_available()
    path = root / "train-000002.tar"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match=r"train-000002\.tar: 00\d\d: train-000002\.tar ends before byte"):
        make_loader(data, "train", 0)


def test_the_files_are_part_of_the_identity(folder: Path, root: Path, own_folder: Path) -> None:
    def identity(*overrides: str) -> str:
        words = ["data=shards", f"data.root={root}", *SMALL, "backbone.width=4", *overrides]
        return plan(compose(words)).identity

    start = identity()
    again = write_shards(folder, own_folder / "elsewhere")
    assert identity("data.workers=3", f"data.root={again}") == start
    (root / "train-000000.tar").rename(root / "train-000003.tar")
    renamed = identity()
    write_tar(root / "test-000001.tar", samples([*listed(folder, "test")[8:], listed(folder, "train")[0]], 8))
    assert len({start, renamed, identity()}) == 3


@pytest.mark.slow
def test_trained_from_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("backbone.width=4", "recipe.epochs=1", "trainer.threads=1", "trainer.accelerator=cpu")
    assert main(["train", "data=shards", f"data.root={root}", *SMALL, *words]) == 0
    assert "test top-1 accuracy" in capsys.readouterr().out


def test_listed_whether_they_are_there_or_not(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def row(where: str) -> list[str]:
        assert main(["list", "data", "--root", where]) == 0
        out = capsys.readouterr().out
        assert ("set data.root to a folder that holds train-000000.tar" in out) == (where == "nowhere")
        return next(line.split() for line in out.splitlines() if line.lstrip().startswith("shards"))

    assert row("nowhere")[1:5] == ["no", "–", "–", "224"]
    assert row(str(root))[1:7] == ["yes", "21", "+", "9", "3", "224"]


def test_without_tar_files_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=shards", "data.root=nowhere"]) == 2
    assert "set data.root to a folder that holds train-000000.tar" in capsys.readouterr().err
