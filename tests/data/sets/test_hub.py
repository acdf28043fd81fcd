"""Hugging Face data sets on disk: the same images as in folders, from either kind of file, and errors in one line."""

import errno
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from datasets.exceptions import DatasetGenerationError
from datasets.packaged_modules.parquet.parquet import Parquet

from attnbench.cli.main import main
from attnbench.config.compose import compose
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.sources.hub_files import unpacked_bytes
from attnbench.data.sources.left_out import warn_once
from attnbench.errors import UserError
from attnbench.training.plan import plan
from tests.data.hub_sets import make_table, saved, table, write_parquet, write_saved
from tests.data.packs import CLASSES, listed, packed_set
from tests.data.pictures import CPU, SMALL, folder_set, make_loader, write_folder

WRITERS: dict[str, Callable[..., Path]] = {"parquet": write_parquet, "arrow": write_saved}
SPLITS = ("train", "validation", "test")


@pytest.fixture
def folder(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image folder, and an empty cache beside it."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return write_folder(own_folder / "folder", splits=SPLITS)


@pytest.fixture
def root(folder: Path, own_folder: Path) -> Path:
    """Parquet files."""
    return write_parquet(folder, own_folder / "set", SPLITS)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("kind", WRITERS)
def test_images_and_classes_are_those_of_the_folder(kind: str, named: bool, folder: Path, own_folder: Path) -> None:
    root = WRITERS[kind](folder, own_folder / "set", SPLITS, named=named, column="photo")
    data, expected = packed_set("hub", root, "data.image_column=photo"), folder_set(folder)
    data.check_available()
    assert data.classes == CLASSES
    assert data.splits == expected.splits == SPLITS
    for split in data.splits:
        ours, theirs = data.load(split), expected.load(split)
        assert np.array_equal(ours.labels, theirs.labels)
        assert np.array_equal(ours.images, theirs.images)


@pytest.mark.parametrize("kind", WRITERS)
def test_training_batches_are_those_of_the_folder(kind: str, folder: Path, own_folder: Path) -> None:
    data = packed_set("hub", WRITERS[kind](folder, own_folder / "set", SPLITS), "data.workers=2")
    with closing(LoaderFactory(data, CPU)) as factory:
        ours, theirs = factory.make("train", 0).epoch(1), make_loader(folder_set(folder), "train", 0).epoch(1)
        for (images, labels), (images2, labels2) in zip(ours, theirs, strict=True):
            assert torch.equal(images, images2)
            assert torch.equal(labels, labels2)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_images_may_be_plain_binary_values_and_labels_plain_numbers(kind: Any, folder: Path, own_folder: Path) -> None:
    images = listed(folder, "train")[5:9]
    content = pa.array([path.read_bytes() for path, _ in images], kind)
    rows = pa.table({"image": content, "label": pa.array([3, 4, 12, 3], pa.uint8())})
    (own_folder / "plain").mkdir()
    pq.write_table(rows, own_folder / "plain" / "train.parquet")
    saved(rows).save_to_disk(own_folder / "saved")
    for root in (own_folder / "plain", own_folder / "saved"):
        data = packed_set("hub", root)
        assert data.splits == ("train",)
        assert data.classes == ("3", "4", "12")
        assert data.load("train").labels.tolist() == [0, 1, 2, 0]
        assert [data.listed("train").read(index) for index in range(4)] == [path.read_bytes() for path, _ in images]


@pytest.mark.parametrize("kind", WRITERS)
def test_splits_have_many_names(kind: str, folder: Path, own_folder: Path) -> None:
    for old, new in zip(SPLITS, ("Train", "valid", "eval"), strict=True):
        (folder / old).rename(folder / new)
    data = packed_set("hub", WRITERS[kind](folder, own_folder / "set", ("Train", "valid", "eval")))
    data.check_available()
    assert {split: len(data.listed(split)) for split in data.splits} == {"train": 21, "validation": 9, "test": 9}


@pytest.mark.parametrize("kind", WRITERS)
def test_what_is_not_used_is_named(kind: str, folder: Path, own_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    shutil.copytree(folder / "test", folder / "extra")
    root = WRITERS[kind](folder, own_folder / "set", (*SPLITS, "extra"))
    packed_set("hub", root).check_available()
    name = "of no split 2 (data/extra-00000-of-00002.parquet, …)" if kind == "parquet" else "of no split 1 (extra)"
    assert caplog.messages == [f"data=hub: {root}: not used: {name}"]


def test_a_test_split_without_labels_is_left_out(root: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As competitions publish theirs; then `validation` is what is tested on."""
    for path in (root / "data").glob("test*"):
        pq.write_table(make_table(table(listed(folder, "test"))["image"].to_pylist(), [-1] * 9, CLASSES), path)
    data = packed_set("hub", root)
    assert data.splits == ("train", "test")
    assert len(data.listed("test")) == 9
    assert "a test split without labels; it is left out" in caplog.text


def test_parquet_files_are_unpacked_once_and_when_needed(
    root: Path, own_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "attnbench.data")
    cache, expected = own_folder / "cache", packed_set("hub", root).load("train").images
    shutil.rmtree(cache)
    packed_set("hub", root).check_available()
    assert not cache.exists()
    unpacked: list[str] = []
    prepare = Parquet.download_and_prepare

    def noting(builder: Any, *words: Any, **options: Any) -> None:
        (path,) = builder.config.data_files["train"]
        unpacked.append(Path(path).name)
        if len(unpacked) == 2:
            raise KeyboardInterrupt
        prepare(builder, *words, **options)

    monkeypatch.setattr(Parquet, "download_and_prepare", noting)
    with pytest.raises(KeyboardInterrupt):
        packed_set("hub", root).load("train")
    assert np.array_equal(packed_set("hub", root).load("train").images, expected)
    assert np.array_equal(packed_set("hub", root).load("train").images, expected)
    # what was done before Ctrl-C is not done again; other splits are not needed
    assert unpacked == [f"train-0000{number}-of-00002.parquet" for number in (0, 1, 1)]
    assert "unpacking 1 parquet files" in caplog.text


def test_a_changed_parquet_file_is_unpacked_again(root: Path, folder: Path) -> None:
    before = packed_set("hub", root).load("train")
    first, *others = listed(folder, "train")
    path = root / "data" / "train-00000-of-00002.parquet"
    pq.write_table(table([first, first, *others[1 : len(before) // 2]]), path)
    after = packed_set("hub", root).load("train")
    assert len(after) > len(before) // 2
    assert np.array_equal(after.images[1], before.images[0])
    assert not np.array_equal(before.images[1], before.images[0])


def test_folders_may_have_any_name(folder: Path, own_folder: Path) -> None:
    """The library takes paths for patterns."""
    root = write_parquet(folder, own_folder / "a [b] *" / "set", SPLITS)
    assert len(packed_set("hub", Path(f"'{root}'")).load("train")) == 21


def test_unpacked_images_that_do_not_fit_are_rejected(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 10_000}))
        with pytest.raises(UserError, match=r"unpacked images take about .* GiB left; \$ATTNBENCH_CACHE names another"):
            packed_set("hub", root).load("train")
    (root / "file").write_bytes(b"")
    monkeypatch.setenv("ATTNBENCH_CACHE", str(root / "file" / "cache"))
    with pytest.raises(UserError, match=r"cannot be unpacked into .*: Not a directory; \$ATTNBENCH_CACHE"):
        packed_set("hub", root).load("train")


def write_repeated(path: Path, image: bytes, rows: int) -> Path:
    """A parquet file in which one image is stored once and used by all rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": image, "path": "a.png"}] * rows
    pq.write_table(make_table(cells, [0, 1] * (rows // 2)), path, compression="zstd", row_group_size=rows)
    return path


def test_repeated_images_are_counted_as_often_as_they_are_unpacked(own_folder: Path) -> None:
    path = write_repeated(own_folder / "train.parquet", bytes(100_000), 200)
    assert path.stat().st_size < 10_000
    assert unpacked_bytes(path, "image") == 200 * 100_000


def test_a_small_file_that_would_fill_the_cache_is_rejected(folder: Path, own_folder: Path) -> None:
    write_repeated(own_folder / "bomb" / "train.parquet", bytes(2**20), 100)
    with pytest.raises(UserError, match=r"train\.parquet: its [\d,]+ bytes unpack to 104,857,600, which images do not"):
        packed_set("hub", own_folder / "bomb").load("train")
    assert not [path for path in (own_folder / "cache").rglob("*") if path.is_file() and path.stat().st_size > 10_000]


def test_a_small_file_of_many_rows_is_rejected(own_folder: Path) -> None:
    (own_folder / "bomb").mkdir()
    rows = pa.table({"image": pa.array([b""] * 100_000), "label": pa.array(np.zeros(100_000, np.int64))})
    pq.write_table(rows, own_folder / "bomb" / "train.parquet")
    with pytest.raises(UserError, match=r"claims to hold 100,000 images in [\d,]+ bytes"):
        packed_set("hub", own_folder / "bomb").check_available()


def test_a_full_disk_is_distinguished_from_a_damaged_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise DatasetGenerationError from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Parquet, "download_and_prepare", full)
    with pytest.raises(UserError, match=r"cannot be unpacked into .*: No space left on device; \$ATTNBENCH_CACHE"):
        packed_set("hub", root).load("train")


def test_a_selection_trains_on_its_rows(folder: Path, own_folder: Path) -> None:
    images = listed(folder, "train")
    chosen = [20, 3, 3, 11]
    saved(table(images)).select(chosen).save_to_disk(own_folder / "chosen")
    data = packed_set("hub", own_folder / "chosen")
    assert [data.listed("train").read(row) for row in range(4)] == [images[row][0].read_bytes() for row in chosen]
    assert data.load("train").labels.tolist() == [images[row][1] for row in chosen]


def save_with_mapping(root: Path, content: Any, chosen: list[int]) -> Path:
    """Save rows as versions below 2.0 did: all of them, and beside them the places of those that were chosen."""
    saved(content).save_to_disk(root)
    mapping = pa.table({"indices": pa.array(chosen, pa.uint64())})
    with pa.OSFile(str(root / "indices.arrow"), "wb") as sink, pa.ipc.new_stream(sink, mapping.schema) as stream:
        stream.write_table(mapping)
    state = json.loads((root / "state.json").read_text())
    state["_indices_data_files"] = [{"filename": "indices.arrow"}]
    (root / "state.json").write_text(json.dumps(state))
    return root


def test_a_saved_indices_mapping_is_followed(folder: Path, own_folder: Path) -> None:
    """Rows outside of it may lack what those inside need."""
    images = listed(folder, "train")
    content = table(images)
    rows = content["image"].to_pylist()
    rows[0] = None
    content = make_table(rows, content["label"].to_pylist(), CLASSES)
    chosen = [20, 3, 3, 11]
    data = packed_set("hub", save_with_mapping(own_folder / "chosen", content, chosen))
    assert [data.listed("train").read(row) for row in range(4)] == [images[row][0].read_bytes() for row in chosen]
    assert data.load("train").labels.tolist() == [images[row][1] for row in chosen]
    other = packed_set("hub", save_with_mapping(own_folder / "other", content, [20, 3, 11, 3]))
    assert data.fingerprint() != other.fingerprint()


Change = Callable[[Path], Any]


def rows(*changes: tuple[int, dict[str, Any] | None, Any], names: tuple[str, ...] = CLASSES) -> Change:
    """Changes rows of the second training file: place, image, label."""

    def write(root: Path) -> None:
        path = root / "data" / "train-00001-of-00002.parquet"
        content = pq.read_table(path)
        images, labels = content["image"].to_pylist(), content["label"].to_pylist()
        for place, image, label in changes:
            images[place], labels[place] = image, label
        pq.write_table(make_table(images, labels, names), path)

    return write


def remove(name: str) -> Change:
    return lambda root: (root / "data" / name).unlink()


def halve(root: Path) -> None:
    path = root / "data" / "train-00001-of-00002.parquet"
    path.write_bytes(path.read_bytes()[:3000])


def renamed(root: Path) -> None:
    for path in (root / "data").glob("test*"):
        content = pq.read_table(path)
        pq.write_table(
            make_table(content["image"].to_pylist(), content["label"].to_pylist(), ("ant", "cat", "b")), path
        )


IMAGE = {"bytes": b"of no format", "path": "a.jpg"}
MISTAKES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "train-00001-of-00002.parquet: row 2 has no label": (rows((2, IMAGE, None)), ()),
    "00001-of-00002.parquet: row 3 has no label": (rows((3, IMAGE, -1)), ()),
    "row 2 has label 3, but names end at 2": (rows((2, IMAGE, 3)), ()),
    "train-00001-of-00002.parquet: row 4 has no image in the file": (rows((4, {"path": "b"}, 1)), ()),
    "train-00001-of-00002.parquet: row 5 has no image in the file": (rows((5, None, 1)), ()),
    "train-00001-of-00002.parquet: row 6: cannot be decoded: not an image": (rows((6, IMAGE, 1)), ()),
    "its classes are not those of train-00000-of-00002.parquet": (rows(names=("ant", "bee")), ()),
    "test calls class 1 cat, and train bee": (renamed, ()),
    "no column picture (it has image, label); data.image_column": (rows(), ("data.image_column=picture",)),
    "no column class (it has image, label)": (rows(), ("data.label=class",)),
    "image holds struct<bytes: binary, path: string>, neither numbers nor": (rows(), ("data.label=image",)),
    "a column of int64, not of encoded images": (rows(), ("data.image_column=label",)),
    "train-00001-of-00002.parquet: cannot be read": (halve, ()),
    "train-*: of 00002 parts, counted from 0, these are missing: 1": (remove("train-00001-of-00002.parquet"), ()),
    "no files of train": (lambda root: shutil.rmtree(root / "data"), ()),
}


@pytest.mark.parametrize(("expected", "mistake"), MISTAKES.items())
def test_mistakes_are_one_line(expected: str, mistake: tuple[Change, tuple[str, ...]], root: Path) -> None:
    change, overrides = mistake
    change(root)
    with pytest.raises(UserError) as caught:
        data = packed_set("hub", root, *overrides)
        data.check_available()
        data.load("train")
    message = str(caught.value)
    assert message.startswith("data=hub: ")
    assert expected in message
    assert str(root) in message
    assert "\n" not in message


def emptied(name: str) -> Change:
    return lambda root: (root / name).write_bytes(b"")


SAVED: dict[str, Change] = {
    "names data-00001-of-00002.arrow, which is missing": lambda root: (
        root / "test/data-00001-of-00002.arrow"
    ).unlink(),
    "test: cannot be read": emptied("test/data-00001-of-00002.arrow"),
    "train: cannot be read": emptied("train/dataset_info.json"),
    "state.json is not what datasets.save_to_disk writes": lambda root: (root / "train/state.json").write_text("{"),
    "state.json is not what datasets.save_to_disk writes: maximum recursion": lambda root: (
        root / "train/state.json"
    ).write_text("[" * 100_000),
    "state.json names no files": lambda root: (root / "train/state.json").write_text('{"_data_files": []}'),
    "train: row 5 has no image in the file": lambda root: without_image(root / "train"),
}


def without_image(folder: Path) -> None:
    content = pa.table({"image": [b"x"] * 5 + [None], "label": [0, 1] * 3})
    shutil.rmtree(folder)
    saved(content).save_to_disk(folder)


@pytest.mark.parametrize("expected", SAVED)
def test_mistakes_in_what_was_saved_are_one_line(expected: str, folder: Path, own_folder: Path) -> None:
    root = write_saved(folder, own_folder / "set")
    SAVED[expected](root)
    with pytest.raises(UserError) as caught:
        packed_set("hub", root).check_available()
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bad_images_are_skipped(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows((6, IMAGE, 1))(root)
    made = make_loader(packed_set("hub", root, "data.on_bad_image=skip"), "train", 0)
    assert (made.skipped, made.count) == (1, 20)
    assert caplog.messages[-1].endswith(f"{root / 'data' / 'train-00001-of-00002.parquet'}: row 6")


@pytest.fixture(params=["parquet", "arrow"])
def columns(request: pytest.FixtureRequest, folder: Path, own_folder: Path) -> Path:
    """A training set of two columns of images; `mask` has other images than `image`, and one that is damaged."""
    images, labels = zip(*listed(folder, "train"), strict=True)
    content = [path.read_bytes() for path in images]
    made = pa.table({"image": content, "mask": [*content[:0:-1], b"of no format"], "label": labels})
    root = own_folder / "columns"
    if request.param == "arrow":
        saved(made).save_to_disk(root)
    else:
        root.mkdir()
        pq.write_table(made, root / "train.parquet")
    return root


def test_each_column_of_images_has_its_own_cache(columns: Path) -> None:
    def first_images(*overrides: str) -> torch.Tensor:
        images: torch.Tensor = make_loader(packed_set("hub", columns, *overrides), "train").epoch().batch(0)[0]
        return images

    for column in ("image", "mask"):
        chosen = (f"data.image_column={column}", "data.on_bad_image=skip")
        assert torch.equal(first_images(*chosen, "data.cache=disk"), first_images(*chosen))


def test_each_column_of_images_has_its_own_bad_ones(columns: Path) -> None:
    def skipped(column: str) -> int:
        data = packed_set("hub", columns, f"data.image_column={column}", "data.on_bad_image=skip")
        count: int = make_loader(data, "train").skipped
        return count

    assert [skipped(column) for column in ("image", "mask", "image")] == [0, 1, 0]


def test_the_files_are_part_of_the_identity(root: Path, folder: Path, own_folder: Path) -> None:
    def identity(where: Path) -> str:
        return plan(compose(["data=hub", f"data.root={where}", *SMALL, "backbone.width=4"])).identity

    start = identity(root)
    assert identity(write_parquet(folder, own_folder / "elsewhere", SPLITS)) == start
    assert identity(write_saved(folder, own_folder / "saved")) != start
    rows((0, IMAGE, 1))(root)
    assert identity(root) != start


WITHOUT = """
import sys
sys.modules["datasets"] = None  # what Python itself keeps for a module that cannot be imported
from attnbench.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_extra_one_line_says_what_to_install(root: Path) -> None:
    command = [sys.executable, "-c", WITHOUT, "train", "data=hub", f"data.root={root}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("not installed: pip install 'attnbench[hub]'")
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_trained_from_the_command_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("backbone.width=4", "recipe.epochs=1", "trainer.threads=1", "trainer.accelerator=cpu")
    assert main(["train", "data=hub", f"data.root={root}", *SMALL, *words]) == 0
    assert "test top-1 accuracy" in capsys.readouterr().out
