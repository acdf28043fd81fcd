"""The streaming pipeline: stored forms come from worker processes or a store, views are cut on the device.

An epoch's order is drawn at its start. The views of its images come from one generator of the epoch's own, read at
each image's place in it. So they depend on seed and epoch alone: not on workers, on caches, or on which batches are
asked for and when.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.bases.dataset import Split
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.bad_images import bad_images, checked, in_order, report
from attnbench.data.loaders.decoded_cache import FileStore, MemoryStore, Store, stored_file, through
from attnbench.data.loaders.in_memory import Batch, Epoch, Loader, Placement
from attnbench.data.loaders.workers import CHUNK, Decoded, Decoder, DecodeWorkers, Request, automatic_workers
from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.transforms.crop_params import DRAWS, CropParams, center_views, draw_views, stored_boxes
from attnbench.data.transforms.crop_resize import Normaliser
from attnbench.data.transforms.decode import STORED_FORMAT_VERSION
from attnbench.errors import UserError
from attnbench.seeding import derive_seed

Integers = NDArray[np.int64]
GIB = 1024**3


class Sample(NamedTuple):
    """A batch with its boxes.

    images: (B, 3, S, S), normalised. labels: (B,) int64. boxes: (B, 4) float32, in pixels of the images, None where
    the set has none.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor | None


class StreamingLoader(Loader):
    """Batches of a split that is read from files. seed: for training; without one, images come in order, and centred.

    Raises `UserError` for a cache that cannot be kept, and for images that cannot be decoded if they must be.
    """

    def __init__(self, data: FileDataSet, split: Split, placement: Placement, seed: int | None = None) -> None:
        self.data, self.placement, self.seed, self.batch_size = data, placement, seed, data.batch_size
        self.source, members = data.members(split)
        self.files, self.reader = data.listed(self.source), data.reader(placement)
        self.store = self._make_store(split, len(members))
        bad = np.intersect1d(self._find_bad(), members)
        if len(bad) and placement.rank == 0:
            report(data, self.source, bad.tolist())
        self.members = np.setdiff1d(members, bad)
        self.count, self.skipped = len(self.members), len(bad)
        if not self.count:
            raise UserError(f"data={data.name}: none of the {split} images in {data.root} can be decoded")
        device = placement.device
        self.labels = torch.from_numpy(self.files.labels[self.members]).to(device)
        self.relabel = None if seed is None else data.relabel(seed)
        self.normalise = Normaliser(data.mean, data.std, device)

    def epoch(self, number: int = 0) -> "StreamingEpoch":
        """Draw an epoch. Its order is the files' unless the pipeline has a seed."""
        labels = self.labels if self.relabel is None else self.relabel(self.labels, number)
        if self.seed is None:
            return StreamingEpoch(self, labels, torch.arange(self.count), None)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
        order = torch.randperm(self.count, generator=generator)
        return StreamingEpoch(self, labels, order, derive_seed(self.seed, "views", number))

    def decoded(self, requests: Sequence[Integers]) -> Iterator[Decoded]:
        """Answers to requests (places among the files), from the store or decoded. Raises `UserError`."""

        def decode(missing: Sequence[Integers]) -> Iterator[Decoded]:
            stream = self.reader.stream([Request(self.source, members) for members in missing])
            return checked(self.data, self.source, stream, tolerant=False)

        return through(self.store, requests, decode, self.reader.pinned)

    def _make_store(self, split: Split, count: int) -> Store | None:
        data = self.data
        if data.cache == "ram" and split != "test":  # the test set is read at the end, for two networks at most
            require_memory(data, count * self.placement.world)
            return MemoryStore(len(self.files))
        if data.cache == "disk":
            path = cache_file(data, self.source, "images", self.files.stamps())
            if not path.is_file():
                require_space(data, path.parent, len(self.files))
            try:
                return stored_file(path, len(self.files), self._all_files)
            except OSError as error:
                told = f"cannot be kept in {path.parent}: {error.strerror or error}"
                raise UserError(f"data.cache=disk: {told}; $ATTNBENCH_CACHE names another folder") from error
        return None

    def _all_files(self) -> Iterator[Decoded]:
        requests = in_order(self.source, np.arange(len(self.files)))
        tolerant = self.data.on_bad_image == "skip"
        return checked(self.data, self.source, self.reader.stream(requests), tolerant)

    def _find_bad(self) -> Integers:
        """Places of the images to be left out, among the files."""
        data = self.data
        if isinstance(self.store, FileStore):
            bad = self.store.bad
            if len(bad) and data.on_bad_image == "error":
                raise data.refusal(self.source, int(bad[0]), "as was found when the cache was written")
            return bad
        if data.on_bad_image == "skip":
            return bad_images(data, self.source, self.reader, cache_file(data, self.source, "bad.npz"))
        return np.empty(0, np.int64)


class StreamingEpoch(Epoch):
    """One pass over a split that is read from files.

    labels, order: (N,), of the split's images, and places among them. views_seed: draws the views, which are the
    centres without one. Batches are quickest in their order; any other one is right too.
    """

    pipeline: StreamingLoader

    def __init__(self, pipeline: StreamingLoader, labels: Tensor, order: Tensor, views_seed: int | None) -> None:
        self.pipeline, self.labels, self.order, self.views_seed = pipeline, labels, order, views_seed
        self._next = self._ticket = -1
        self._answers: Iterator[Decoded] = iter(())

    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
        sample = self.sample(number)
        return sample.images, sample.labels

    def sample(self, number: int) -> Sample:
        """This process's share of a batch, with boxes."""
        pipeline = self.pipeline
        if (number, pipeline.reader.ticket) != (self._next, self._ticket):
            self._open(number)
        self._next = number + 1
        mine = self._mine(number)
        images, boxes = self._empty(len(range(mine.start, mine.stop, mine.step))), []
        done = 0
        for places in self._chunks(number):
            answer = next(self._answers)
            views = self._views(answer.shapes[:, :2], places)
            pixels = answer.pixels.to(images.device, non_blocking=True)
            pipeline.normalise(pixels, answer.shapes[:, :2], views, images[done : done + len(places)])
            done += len(places)
            if pipeline.files.boxes is not None:
                original = pipeline.files.boxes[self._members(places)]
                boxes.append(torch.from_numpy(views.boxes(stored_boxes(original, answer.shapes))))
        labels = self.labels[self.order[mine].to(images.device)]
        known = torch.cat([torch.empty(0, 4), *boxes]).to(images.device) if pipeline.files.boxes is not None else None
        return Sample(images, labels, known)

    def _open(self, number: int) -> None:
        """Begin to read at a batch. Another stream of the same reader has to be left for that."""
        pipeline = self.pipeline
        places = (chunk for later in range(number, len(self)) for chunk in self._chunks(later))
        self._answers = pipeline.decoded([self._members(chunk) for chunk in places])
        self._ticket = pipeline.reader.ticket

    def _mine(self, number: int) -> slice:
        """Places of this process's share of a batch in the epoch."""
        start, placement = number * self.pipeline.batch_size, self.pipeline.placement
        return slice(start + placement.rank, start + self.size(number), placement.world)

    def _chunks(self, number: int) -> list[Integers]:
        mine = self._mine(number)
        places = np.arange(mine.start, mine.stop, mine.step)
        return [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]

    def _members(self, places: Integers) -> Integers:
        """Places among the files of the images at places in the epoch."""
        return self.pipeline.members[self.order.numpy()[places]]

    def _views(self, shapes: Integers, places: Integers) -> CropParams:
        data = self.pipeline.data
        if self.views_seed is None:
            return center_views(shapes, data.image_size)
        draws = draws_at(self.views_seed, int(places[0]), int(places[-1]) + 1)[places - places[0]]
        return draw_views(data.train_crop, data.augmentation.flip, shapes, data.image_size, draws)

    def _empty(self, count: int) -> Tensor:
        """Room for images, as training wants them."""
        placement, size = self.pipeline.placement, self.pipeline.data.image_size
        layout = torch.channels_last if placement.channels_last else torch.contiguous_format
        shape = (count, 3, size, size)
        return torch.empty(shape, dtype=placement.dtype, device=placement.device, memory_format=layout)


def draws_at(seed: int, start: int, stop: int) -> NDArray[np.float64]:
    """Uniform numbers (stop - start, `DRAWS`) for places of an epoch: always the same ones for a place."""
    generator = np.random.Philox(key=seed).advance(start * DRAWS // 4)  # counts in fours
    return np.random.Generator(generator).random((stop - start, DRAWS))


def make_reader(data: FileDataSet, placement: Placement) -> DecodeWorkers:
    """The workers of one process of a run; they stay two batches ahead."""
    wanted, device = data.workers, placement.device.type
    workers = automatic_workers(device, placement.world) if wanted == "auto" else int(wanted)
    sources = {split: data.listed(split) for split in data.splits}
    ahead = 2 * -(-data.batch_size // placement.world)
    return DecodeWorkers(Decoder(sources, data.form), workers, ahead, pinned=device == "cuda")


def cache_file(data: FileDataSet, source: Split, kind: str, stamps: Integers | None = None) -> Path:
    """Where something is kept that was found out about a split's stored forms, or about those of files as they are
    now: the fingerprint does not hold when they were changed, nor always their sizes.
    """
    what = repr((data.fingerprint(), source, data.form, STORED_FORMAT_VERSION))
    known = hashlib.sha256(what.encode())
    if stamps is not None:
        known.update(stamps.tobytes())
    return cache_folder() / f"{data.name}-{source}-{known.hexdigest()[:16]}.{kind}"


def stored_bytes(data: FileDataSet, count: int) -> int:
    """About what the stored forms of so many images take, if they are of the usual 4:3."""
    return round(3 * count * data.resize**2 * (1 if data.stretch else 4 / 3))


def require_memory(data: FileDataSet, count: int) -> None:
    """Raise `UserError` if stored forms would not fit into the memory that is free."""
    needed, free = stored_bytes(data, count), free_memory()
    if free is not None and needed > free:
        raise UserError(
            f"data.cache=ram: {count:,} images take about {needed / GIB:,.1f} GiB and {free / GIB:,.1f} GiB are free; "
            "data.cache=disk keeps them in a file"
        )


def require_space(data: FileDataSet, folder: Path, count: int) -> None:
    """Raise `UserError` if stored forms would not fit onto the disk of the cache."""
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    needed, free = stored_bytes(data, count), shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"data.cache=disk: {count:,} images take about {needed / GIB:,.1f} GiB and {folder} has {free / GIB:,.1f} "
            "GiB left; $ATTNBENCH_CACHE names another folder"
        )


def free_memory() -> int | None:
    """Bytes that programs can still get; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
