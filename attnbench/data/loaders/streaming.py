"""Batches of a split in files: images are decoded by worker processes or come from a cache, and cropped on the device.

An epoch's order is drawn at its start. The crops of its images come from the epoch's own generator, read at each
image's position in the epoch. They depend on seed and epoch only: not on workers, caches, or on which batches are
requested when.
"""

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.bad_images import chunked_requests, find_bad_images, log_skipped, raise_failures
from attnbench.data.loaders.base import Batch, Epoch, Loader, Placement, Relabel
from attnbench.data.loaders.cache_space import cache_file, require_memory, require_space
from attnbench.data.loaders.decoded_cache import FileStore, MemoryStore, Store, open_or_write, read_through
from attnbench.data.loaders.passing import Decoded
from attnbench.data.loaders.workers import CHUNK, DecodeWorkers, Request
from attnbench.data.sources.cache_dir import cache_folder
from attnbench.data.splits import Split
from attnbench.data.transforms.crop_params import DRAWS, CropParams, center_crops, draw_crops, stored_boxes
from attnbench.data.transforms.crop_resize import Normaliser
from attnbench.data.transforms.policies import PolicyOptions
from attnbench.errors import UserError
from attnbench.seeding import derive_seed

if TYPE_CHECKING:
    from attnbench.data.transforms.policy_operations import Policy

Integers = NDArray[np.int64]
log = logging.getLogger("attnbench.data")


class Sample(NamedTuple):
    """A batch with its boxes.

    Attributes:
        images: (B, 3, S, S), normalised.
        labels: (B,) int64.
        boxes: (B, 4) float32, in pixels of the images; None if the set has none.
    """

    images: Tensor
    labels: Tensor
    boxes: Tensor | None


class StreamingLoader(Loader):
    """Batches of a split that is read from files.

    Args:
        data: the data set.
        split: one of its splits.
        workers: decode the images; loaders of the same data set share them.
        placement: where batches are made.
        seed: draws order and crops in training; without it, images come in order, with central crops.
        relabel: changes the labels of each epoch.
        policy: the augmentation policy of training images.

    Raises:
        UserError: an image cannot be decoded and the data set does not skip it.
    """

    def __init__(
        self,
        data: FileDataSet,
        split: Split,
        workers: DecodeWorkers,
        placement: Placement,
        seed: int | None = None,
        relabel: Relabel | None = None,
        policy: PolicyOptions | None = None,
    ) -> None:
        self.data, self.placement, self.seed, self.batch_size = data, placement, seed, data.batch_size
        self.source, members = data.members(split)
        self.files, self.workers, self.relabel = data.listed(self.source), workers, relabel
        self.height, self.width, self.policy = data.image_size, data.image_size, policy
        self.files.prepare()
        self.store = self._make_store(split, len(members))
        bad = np.intersect1d(self._find_bad(), members)
        if len(bad) and placement.rank == 0:
            log_skipped(data, self.source, bad.tolist())
        self.members, self.kept = np.setdiff1d(members, bad), ~np.isin(members, bad)
        self.count, self.skipped = len(self.members), len(bad)
        if not self.count:
            raise UserError(f"data={data.name}: none of the {split} images in {data.root} can be decoded")
        device = placement.device
        self.labels = torch.from_numpy(self.files.labels[self.members]).to(device)
        self.normalise = Normaliser(data.mean, data.std, device)

    def indices(self) -> Integers:
        return np.flatnonzero(self.kept)

    def epoch(self, number: int = 0) -> "StreamingEpoch":
        """Draw an epoch. Without a seed, images come in the order of the files."""
        labels = self.labels if self.relabel is None else self.relabel(self.labels, number)
        if self.seed is None:
            return StreamingEpoch(self, labels, torch.arange(self.count), None)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
        order = torch.randperm(self.count, generator=generator)
        return StreamingEpoch(self, labels, order, derive_seed(self.seed, "views", number), self.draw_policy(number))

    def decoded(self, requests: Sequence[Integers]) -> Iterator[Decoded]:
        """Yield stored images for each array of file indices, from the cache or decoded. Raises `UserError`."""

        def decode(missing: Sequence[Integers]) -> Iterator[Decoded]:
            stream = self.workers.stream([Request(self.source, members) for members in missing])
            return raise_failures(self.data, self.source, stream, skip_damaged=False)

        return read_through(self.store, requests, decode, self.workers.pinned)

    def _make_store(self, split: Split, count: int) -> Store | None:
        data = self.data
        if data.cache == "ram" and split != "test":  # the test set is read at the end, at most twice
            require_memory(data, count * self.placement.world)
            return MemoryStore(len(self.files))
        return self._open_file_store() if data.cache == "disk" else None

    def _open_file_store(self) -> FileStore | None:
        """Open the cache file; None, with a warning, where it cannot be written: images are decoded each time then."""
        path = cache_file(self.data, self.source, "images", self.files.stamps())
        try:
            return open_or_write(path, len(self.files), self._all_files)
        except OSError as error:
            log.warning(
                "data.cache=disk: cannot be written in %s: %s; images are decoded in every epoch instead; "
                "$ATTNBENCH_CACHE names another folder", path.parent, error.strerror or error,
            )  # fmt: skip
            return None

    def _all_files(self) -> Iterator[Decoded]:
        """Decode all files for the cache. Raises `OSError` if they do not fit, no other process writing them now."""
        require_space(self.data, cache_folder(), len(self.files))
        requests = chunked_requests(self.source, np.arange(len(self.files)))
        skip_damaged = self.data.on_bad_image == "skip"
        return raise_failures(self.data, self.source, self.workers.stream(requests), skip_damaged)

    def _find_bad(self) -> Integers:
        """Return the file indices of images to be left out."""
        data = self.data
        if isinstance(self.store, FileStore):
            bad = self.store.bad
            if len(bad) and data.on_bad_image == "error":
                raise data.bad_image_error(self.source, int(bad[0]), "found when the cache was written")
            return bad
        if data.on_bad_image == "skip":
            return find_bad_images(data, self.source, self.workers, cache_file(data, self.source, "bad.npz"))
        return np.empty(0, np.int64)


class StreamingEpoch(Epoch):
    """One pass over a split that is read from files. Batches may be requested in any order; ascending is fastest.

    Args:
        loader: the loader that drew it.
        labels: (N,) labels of the split's images.
        order: (N,) index of each image in the split.
        crop_seed: draws the crops; central crops without it.
        policy: changes the crops.
    """

    loader: StreamingLoader

    def __init__(
        self,
        loader: StreamingLoader,
        labels: Tensor,
        order: Tensor,
        crop_seed: int | None,
        policy: "Policy | None" = None,
    ) -> None:
        self.loader, self.labels, self.order, self.crop_seed = loader, labels, order, crop_seed
        self.policy = policy
        self._next = self._stream_number = -1
        self._chunks: Iterator[Decoded] = iter(())

    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
        sample = self.sample(number)
        return sample.images, sample.labels

    def sample(self, number: int) -> Sample:
        """Make this process's share of a batch, with boxes."""
        loader, mine = self.loader, self.share(number)
        images, boxes = self._empty(len(range(mine.start, mine.stop, mine.step))), []
        done = 0
        for positions, chunk in self.chunks(number):
            params = self._crop_params(chunk.shapes[:, :2], positions)
            pixels = chunk.pixels.to(images.device, non_blocking=True)
            change = None if self.policy is None else partial(self.policy, positions=positions)
            loader.normalise(pixels, chunk.shapes[:, :2], params, images[done : done + len(positions)], change)
            done += len(positions)
            if loader.files.boxes is not None:
                original = loader.files.boxes[self._members(positions)]
                boxes.append(torch.from_numpy(params.boxes(stored_boxes(original, chunk.shapes))))
        labels = self.labels[self.order[mine].to(images.device)]
        has_boxes = loader.files.boxes is not None
        return Sample(images, labels, torch.cat([torch.empty(0, 4), *boxes]).to(images.device) if has_boxes else None)

    def chunks(self, number: int) -> Iterator[tuple[Integers, Decoded]]:
        """Yield positions in the epoch of this process's share of a batch, and their stored images."""
        if (number, self.loader.workers.stream_number) != (self._next, self._stream_number):
            self._open(number)
        self._next = number + 1
        for positions in self._chunk_positions(number):
            yield positions, next(self._chunks)

    def _open(self, number: int) -> None:
        """Start a stream of images at a batch, which ends any other stream of the same workers."""
        loader = self.loader
        chunks = (positions for later in range(number, len(self)) for positions in self._chunk_positions(later))
        self._chunks = loader.decoded([self._members(positions) for positions in chunks])
        self._stream_number = loader.workers.stream_number

    def _chunk_positions(self, number: int) -> list[Integers]:
        mine = self.share(number)
        positions = np.arange(mine.start, mine.stop, mine.step)
        return [positions[start : start + CHUNK] for start in range(0, len(positions), CHUNK)]

    def _members(self, positions: Integers) -> Integers:
        """Return the file indices of the images at positions in the epoch."""
        return self.loader.members[self.order.numpy()[positions]]

    def _crop_params(self, shapes: Integers, positions: Integers) -> CropParams:
        data = self.loader.data
        if self.crop_seed is None:
            return center_crops(shapes, data.image_size)
        draws = draws_at(self.crop_seed, int(positions[0]), int(positions[-1]) + 1)[positions - positions[0]]
        return draw_crops(data.train_crop, data.augmentation.flip, shapes, data.image_size, draws)

    def _empty(self, count: int) -> Tensor:
        """Allocate a batch of images in the format of the placement."""
        placement, size = self.loader.placement, self.loader.data.image_size
        layout = torch.channels_last if placement.channels_last else torch.contiguous_format
        shape = (count, 3, size, size)
        return torch.empty(shape, dtype=placement.dtype, device=placement.device, memory_format=layout)


def draws_at(seed: int, start: int, stop: int) -> NDArray[np.float64]:
    """Draw uniform numbers (stop - start, `DRAWS`) for positions of an epoch; each position always gets the same."""
    generator = np.random.Philox(key=seed).advance(start * DRAWS // 4)  # advances in steps of four numbers
    return np.random.Generator(generator).random((stop - start, DRAWS))
