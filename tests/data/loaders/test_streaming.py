"""The streaming loader: the same images whoever decodes them, wherever they are kept, in whatever order asked for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as F

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders import cache_space
from attnbench.data.loaders.base import Placement
from attnbench.data.loaders.decoded_cache import FileStore, MemoryStore
from attnbench.data.loaders.make import LoaderFactory
from attnbench.data.loaders.streaming import StreamingLoader, draws_at
from attnbench.data.loaders.workers import CHUNK, Request
from attnbench.data.sources.image_files import ImageFiles, read_classes
from attnbench.data.splits import Split
from attnbench.data.transforms.crop_params import DRAWS
from attnbench.data.transforms.decode import Stored, StoredFormat, decode
from attnbench.errors import UserError
from tests.data.pictures import CPU, folder_set, make_loader, picture, truncate, write_folder

Loader = list[tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture
def root(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An image folder, and an empty cache beside it."""
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "cache"))
    return write_folder(own_folder / "set", images=25, splits=("train", "test"))


@pytest.fixture
def factories() -> Iterator[list[LoaderFactory]]:
    """Factories whose workers end with the test."""
    opened: list[LoaderFactory] = []
    yield opened
    for factory in opened:
        factory.close()


@pytest.fixture
def loader(root: Path, factories: list[LoaderFactory]) -> Any:
    """Makes a loader of the folder."""

    def make(*overrides: str, split: Split = "train", seed: int | None = 0, placement: Placement = CPU) -> Any:
        factories.append(LoaderFactory(folder_set(root, *overrides), placement))
        return factories[-1].make(split, seed)

    return make


def same(one: Loader, other: Loader) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in pairs)


def test_evaluation_is_torchvisions(loader: Any, root: Path) -> None:
    """Resize the shorter side, crop the centre, normalise: on images that are not decoded at half their size."""
    for path in (root / "test").rglob("*.jpg"):
        path.unlink()
    for number, size in enumerate([(50, 40), (37, 61), (40, 40)] * 3):
        picture(*size, number).save(root / "test" / ("ant", "bee", "cat")[number // 3] / f"{number}.png")
    made = loader("data.batch_size=4", split="test", seed=None)
    images = torch.cat([images for images, _ in made.epoch()])
    assert len(images) == made.count == 11  # two PNGs of the fixture are left
    for image, path in zip(images, (made.files.path(member) for member in made.members), strict=True):
        opened = Image.open(path)
        if opened.mode in ("RGB", "P"):
            resized = F.center_crop(F.resize(opened.convert("RGB"), 36), [32, 32])
            expected = F.normalize(F.to_tensor(resized), made.data.mean, made.data.std)
            assert torch.allclose(image, expected, atol=2.01 / 255 / min(made.data.std))


@pytest.mark.parametrize("crop", ["random", "random_resized", "center"])
def test_workers_and_caches_change_nothing(crop: str, loader: Any) -> None:
    def batches(*overrides: str) -> Loader:
        made = loader(f"data.train_crop={crop}", "data.batch_size=40", *overrides)
        return [batch for number in (0, 1, 0) for batch in made.epoch(number)]

    plain = batches()
    assert len(plain) == 6
    assert not torch.equal(plain[0][0], plain[2][0])
    for overrides in (
        ("data.workers=2",),
        ("data.workers=1", "data.cache=ram"),
        ("data.cache=ram",),
        ("data.cache=disk", "data.workers=2"),
        ("data.cache=disk",),
    ):
        assert same(batches(*overrides), plain), overrides


def test_workers_draw_nothing_from_torch(loader: Any) -> None:
    made = loader("data.workers=1")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(made.epoch(0))
    list(made.epoch(1))
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("overrides", [(), ("data.workers=2",), ("data.cache=ram",), ("data.cache=disk",)])
def test_batches_can_be_asked_for_in_any_order(overrides: tuple[str, ...], loader: Any) -> None:
    forward = list(loader().epoch(3))
    epoch = loader(*overrides).epoch(3)
    for number in (4, 5, 6, 0, 1, 9, 2, 2):
        assert same([epoch.batch(number)], [forward[number]])


def test_two_epochs_may_take_turns(loader: Any, root: Path, factories: list[LoaderFactory]) -> None:
    expected = [list(loader(split=split, seed=None).epoch()) for split in ("train", "test")]
    factories.append(LoaderFactory(folder_set(root, "data.workers=2"), CPU))
    epochs = [factories[-1].make(split).epoch() for split in ("train", "test")]
    for number in (0, 1):
        for epoch, batches in zip(epochs, expected, strict=True):
            assert same([epoch.batch(number)], [batches[number]])


def test_a_stream_that_another_one_ended_says_so(loader: Any) -> None:
    made = loader()
    first, second = (made.workers.stream([Request("train", np.arange(3))] * 2) for _ in range(2))
    next(second)
    with pytest.raises(RuntimeError, match="another stream"):
        next(first)


def test_every_image_once_an_epoch_in_an_order_of_its_own(loader: Any) -> None:
    made = loader("data.batch_size=25")
    orders = [made.epoch(number).order.tolist() for number in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(75))
    assert orders[0] == orders[2] != orders[1]
    labels = torch.cat([labels for _, labels in made.epoch(0)])
    assert labels.tolist() == [made.files.labels[made.members[place]] for place in orders[0]]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_read_disjoint_parts(world: int, loader: Any) -> None:
    whole = loader("data.batch_size=10")
    parts = [
        loader("data.batch_size=10", placement=Placement(torch.device("cpu"), rank=rank, world=world))
        for rank in range(world)
    ]
    epochs, expected = [part.epoch(2) for part in parts], whole.epoch(2)
    for number in range(len(parts[0])):
        together = [epoch.batch(number) for epoch in epochs]
        images, labels = expected.batch(number)
        assert sum(len(part) for _, part in together) == len(labels) == expected.size(number)
        for rank, (mine, own_labels) in enumerate(together):
            assert torch.equal(own_labels, labels[rank::world])
            assert torch.allclose(mine, images[rank::world], atol=1e-4)  # matrix products of other sizes
    assert sum(part.workers.images for part in parts) == parts[0].images  # none is decoded twice


def test_a_process_without_a_share_gets_an_empty_batch(loader: Any) -> None:
    placement = Placement(torch.device("cpu"), rank=3, world=4)
    epoch = loader("data.batch_size=8", split="test", seed=None, placement=placement).epoch()
    images, labels = epoch.batch(1)  # nine images: one is left
    assert images.shape == (0, 3, 32, 32)
    assert len(labels) == 0


@pytest.mark.parametrize("channels_last", [True, False])
def test_layout_and_precision(channels_last: bool, loader: Any) -> None:
    images, _ = loader(placement=Placement(torch.device("cpu"), torch.bfloat16, channels_last)).epoch().batch(0)
    assert images.dtype == torch.bfloat16
    assert images.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert images.is_contiguous() != channels_last


def test_draws_belong_to_places() -> None:
    whole = draws_at(7, 0, 50)
    assert whole.shape == (50, DRAWS)
    assert all(np.array_equal(draws_at(7, start, start + 9), whole[start : start + 9]) for start in (0, 1, 13, 41))
    assert len(np.unique(whole)) == whole.size
    assert not np.isin(draws_at(8, 0, 50), whole).any()


def count_decodes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Note the files that are decoded in this process."""
    files: list[bytes] = []

    def noting(content: bytes, form: StoredFormat, crop: tuple[int, ...] | None = None) -> Stored:
        files.append(content)
        return decode(content, form, crop)

    monkeypatch.setattr("attnbench.data.loaders.workers.decode", noting)
    return files


@pytest.mark.parametrize(("cache", "decoded"), [("none", [75, 75, 75]), ("ram", [75, 0, 0]), ("disk", [0, 0, 0])])
def test_caches_decode_nothing_again(
    cache: str, decoded: list[int], loader: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = count_decodes(monkeypatch)
    made = loader(f"data.cache={cache}", "data.batch_size=25")
    before = len(files)
    assert before == (75 if cache == "disk" else 0)
    for number, expected in enumerate(decoded):
        start = len(files)
        list(made.epoch(number))
        assert len(files) - start == expected
    assert made.workers.images == len(files)
    assert isinstance(made.store, {"none": type(None), "ram": MemoryStore, "disk": FileStore}[cache])


def test_the_disk_cache_is_found_again_and_goes_with_what_it_was_made_of(
    loader: Any, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decodes(*overrides: str) -> int:
        start = len(files)
        list(loader("data.cache=disk", *overrides).epoch(0))
        return len(files) - start

    files = count_decodes(monkeypatch)
    assert decodes() == 75
    assert decodes() == decodes("data.image_size=20", "data.train_crop=random") == 0
    assert decodes("data.validation=9") == 0  # what is held out is taken from the same file
    assert decodes("data.resize=40") == decodes("data.stretch=true") == 75
    picture(40, 40, 99).save(root / "train" / "ant" / "new.jpg")
    assert decodes() == 76


def test_the_disk_cache_ends_when_an_image_changes_and_not_its_size(loader: Any, root: Path) -> None:
    path = root / "train" / "ant" / "flat.bmp"
    for shade in (0, 255):
        Image.new("RGB", (40, 40), (shade,) * 3).save(path)
        made = loader("data.cache=disk", seed=None)
        place = made.files.paths.tolist().index(b"train/ant/flat.bmp")
        (answer,) = made.decoded([np.array([place])])
        assert (answer.pixels == shade).all()


def test_a_whole_cache_is_used_where_nothing_can_be_written(loader: Any, own_folder: Path) -> None:
    plain = list(loader("data.cache=disk").epoch())
    (lock,) = (own_folder / "cache").glob("*.lock")
    lock.unlink()
    lock.mkdir()  # what the superuser, too, cannot write to
    assert same(list(loader("data.cache=disk").epoch()), plain)


def cached(folder: Path) -> list[str]:
    return sorted(path.name.partition(".")[2] for path in (folder / "cache").iterdir())


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_cache_is_written_anew(damage: str, loader: Any, own_folder: Path) -> None:
    plain = list(loader("data.cache=disk").epoch())
    (path,) = (own_folder / "cache").glob("*.images")
    content = path.read_bytes()
    path.write_bytes({"cut": content[:-1000], "empty": b"", "other": content[:-48] + bytes(48)}[damage])
    with pytest.warns(UserWarning, match="writing it again"):
        again = loader("data.cache=disk")
    assert same(list(again.epoch()), plain)
    assert path.read_bytes() == content


KILLED = """
import os, sys
from attnbench.data.loaders import workers as reader
from attnbench.data.loaders.make import LoaderFactory
from tests.data.pictures import CPU, folder_set
decode, seen = reader.decode, []
def dying(content, *how):
    seen.append(content)
    if len(seen) > 40:
        {deed}
    return decode(content, *how)
reader.decode = dying
LoaderFactory(folder_set(sys.argv[1], "data.cache=disk"), CPU).make("train", 0)
"""


@pytest.mark.parametrize(
    ("deed", "left"), [("os.kill(os.getpid(), 9)", ["lock", "part"]), ("raise KeyboardInterrupt", ["lock"])]
)
def test_a_killed_process_leaves_no_cache(deed: str, left: list[str], root: Path, loader: Any) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    command = [sys.executable, "-c", KILLED.format(deed=deed), str(root)]
    assert subprocess.run(command, check=False, capture_output=True, env=environment).returncode != 0
    assert cached(root.parent) == left
    assert len(list(loader("data.cache=disk").epoch())) == len(list(loader().epoch()))
    assert cached(root.parent) == ["images", "lock"]


def test_caches_that_do_not_fit_are_refused(loader: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cache_space, "free_memory", lambda: 10_000)
        with pytest.raises(UserError, match=r"data\.cache=ram: 75 images take about .* GiB .*data\.cache=disk"):
            loader("data.cache=ram")
    usage = type("Usage", (), {"free": 10_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(UserError, match=r"data\.cache=disk: 75 images take about .*\$ATTNBENCH_CACHE"):
        loader("data.cache=disk")


def test_a_cache_folder_that_cannot_be_written(loader: Any, own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (own_folder / "file").write_bytes(b"")
    monkeypatch.setenv("ATTNBENCH_CACHE", str(own_folder / "file" / "cache"))
    with pytest.raises(UserError, match=r"data\.cache=disk: cannot be kept in .*\$ATTNBENCH_CACHE"):
        loader("data.cache=disk")


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_image_ends_the_epoch_by_name(cache: str, workers: int, loader: Any, root: Path) -> None:
    path = truncate(root / "train" / "bee" / "image5.jpg")
    with pytest.raises(UserError) as caught:
        list(loader(f"data.cache={cache}", f"data.workers={workers}").epoch())
    message = str(caught.value)
    assert f"{path}: cannot be decoded: " in message
    assert "data.on_bad_image=skip" in message
    assert "\n" not in message


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_bad_images_are_left_out_and_counted(
    cache: str, loader: Any, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = {truncate(root / "train" / "bee" / "image5.jpg"), root / "train" / "cat" / "image7.jpg"}
    (root / "train" / "cat" / "image7.jpg").write_bytes(b"")
    options = ("data.on_bad_image=skip", f"data.cache={cache}", "data.batch_size=25", "data.workers=1")
    made = loader(*options)
    assert (made.count, made.skipped, made.images) == (73, 2, 73)
    assert all(str(path) in caplog.messages[-1] for path in bad)
    images, labels = zip(*made.epoch(0), strict=True)
    assert [len(batch) for batch in labels] == [25, 25, 23]
    assert torch.bincount(torch.cat(labels)).tolist() == [25, 24, 24]
    # no image is black, or what else may stand for one that is not there
    assert min(image.std() for batch in images for image in batch) > 0.01
    again = loader(*options)
    assert same(list(again.epoch(0)), list(zip(images, labels, strict=True)))
    if cache != "disk":
        assert again.workers.images == 73 + 2  # only the bad ones were tried again


def test_an_image_that_was_repaired_is_taken_back(loader: Any, root: Path) -> None:
    path = root / "train" / "bee" / "image5.jpg"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))  # of the same size, so that the fingerprint stays
    assert loader("data.on_bad_image=skip").skipped == 1
    path.write_bytes(content)
    assert loader("data.on_bad_image=skip").skipped == 0
    path.write_bytes(bytes(len(content)))
    assert loader("data.on_bad_image=skip", "data.cache=disk").skipped == 1
    path.write_bytes(content)
    assert loader("data.on_bad_image=skip", "data.cache=disk").skipped == 0
    assert loader("data.cache=disk").skipped == 0


def test_an_image_that_went_bad_is_left_out(loader: Any, root: Path) -> None:
    assert loader("data.on_bad_image=skip").skipped == 0
    path = root / "train" / "bee" / "image5.jpg"
    path.write_bytes(bytes(path.stat().st_size))  # of the same size, so that the fingerprint stays
    made = loader("data.on_bad_image=skip")
    assert made.skipped == 1
    assert made.workers.images == 1  # only what was changed is read again
    list(made.epoch())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short"])
def test_a_damaged_memory_of_bad_images_is_made_anew(content: bytes, loader: Any, root: Path, own_folder: Path) -> None:
    truncate(root / "train" / "bee" / "image5.jpg")
    assert loader("data.on_bad_image=skip").skipped == 1
    (memory,) = (own_folder / "cache").glob("*.npz")
    memory.write_bytes(content)
    with pytest.warns(UserWarning, match="reading all images again"):
        assert loader("data.on_bad_image=skip").skipped == 1
    assert loader("data.on_bad_image=skip").workers.images == 1


@pytest.mark.parametrize("option", ["error", "skip"])
def test_a_file_that_is_gone_is_never_skipped(option: str, loader: Any, root: Path) -> None:
    made = loader(f"data.on_bad_image={option}")
    (root / "train" / "ant" / "image9.jpg").unlink()
    with pytest.raises(UserError, match=r"image9\.jpg: No such file"):
        list(made.epoch())


def test_a_set_of_bad_images_alone_is_refused(loader: Any, root: Path) -> None:
    for path in (root / "test").rglob("image*"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="none of the test images"):
        loader("data.on_bad_image=skip", split="test", seed=None)


class Marked(FileDataSet):
    """Black images, each with a white rectangle that its box says."""

    name = "marked"
    classes = ("ant", "bee", "cat")

    def check_layout(self) -> None:
        """Always there."""

    def files(self, split: Split) -> ImageFiles:
        if split != "train":
            return ImageFiles.empty(self.root)
        found = read_classes(self.root, "train", self.classes)
        generator = np.random.default_rng(1)
        boxes = []
        for index in range(len(found)):
            width, height = (60, 44) if index % 2 else (50, 75)
            left, top = generator.integers(0, 20, 2)
            box = (left, top, left + generator.integers(12, 24), top + generator.integers(12, 24))
            pixels = np.zeros((height, width, 3), np.uint8)
            pixels[box[1] : box[3], box[0] : box[2]] = 255
            Image.fromarray(pixels).save(Path(found.path(index)).with_suffix(".png"))
            boxes.append(box)
        paths = np.array([path.replace(b".jpg", b".png") for path in found.paths])
        return ImageFiles(found.root, paths, found.labels, np.array(boxes, np.float32))


@pytest.mark.parametrize("crop", ["random", "random_resized", "center"])
@pytest.mark.parametrize("seed", [0, None])
def test_boxes_go_with_their_images(crop: str, seed: int | None, root: Path) -> None:
    data = Marked(
        str(root), 16, 0, image_size=48, resize=64, stretch=False, train_crop=crop, flip=True, mean=[0.0] * 3,
        std=[1.0] * 3, workers=0,
    )  # fmt: skip
    sample = make_loader(data, "train", seed).epoch(1).sample(2)
    assert sample.boxes is not None
    assert sample.boxes.shape == (16, 4)
    for image, (left, top, right, bottom) in zip(sample.images[:, 0], sample.boxes.tolist(), strict=True):
        white = image > 0.5
        expected = max(0, right - left) * max(0, bottom - top)
        assert abs(float(white.sum()) - expected) <= 0.12 * expected + 2 * (right - left + bottom - top) * 0.6 + 4
        if white.any() and expected > 60:
            rows, columns = white.nonzero().T
            found = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            for edge, at in zip(found, (left, top, right, bottom), strict=True):
                assert abs(edge.item() - at) <= 1.5


def test_large_batches_come_in_chunks(root: Path, loader: Any) -> None:
    made = loader("data.batch_size=70", "data.workers=1")
    images, labels = made.epoch().batch(0)
    assert len(images) == len(labels) == 70 > 2 * CHUNK


WAITS = """
import sys, time
from attnbench.data.loaders.make import LoaderFactory
from tests.data.pictures import CPU, folder_set
if __name__ == "__main__":
    epoch = LoaderFactory(folder_set(sys.argv[1], "data.workers=2"), CPU).make("train", 0).epoch()
    epoch.batch(0)
    print("reading", flush=True)
    time.sleep(600)
"""


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_no_worker_outlives_its_process(number: signal.Signals, root: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    command = [sys.executable, "-c", WAITS, str(root)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "reading\n"
    workers = children(process.pid)
    assert len(workers) == 2
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)  # Ctrl-C reaches the whole group
    _, err = process.communicate(timeout=60)
    assert err.count("Traceback") <= 1  # the script's own
    deadline = time.monotonic() + 30
    while not all(gone(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_loader_of_files_streams(loader: Any) -> None:
    assert isinstance(loader(), StreamingLoader)
