"""The streaming loader: stored forms come from worker processes or a store, views are cut on the device.

An epoch's order is drawn at its start. The views of its images come from one generator of the epoch's own, read at
each image's place in it. So they depend on seed and epoch alone: not on workers, on caches, or on which batches are
asked for and when.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.bad_images import bad_images, checked, in_order, report
from attnbench.data.loaders.base import Batch, Epoch, Loader, Placement, Relabel
from attnbench.data.loaders.cache_space import cache_file, require_memory, require_space
from attnbench.data.loaders.decoded_cache import FileStore, MemoryStore, Store, stored_file, through
from attnbench.data.loaders.workers import CHUNK, Decoded, DecodeWorkers, Request
from attnbench.data.splits import Split
from attnbench.data.transforms.crop_params import DRAWS, CropParams, center_views, draw_views, stored_boxes
from attnbench.data.transforms.crop_resize import Normaliser
from attnbench.errors import UserError
from attnbench.seeding import derive_seed

Integers = NDArray[np.int64]


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

    def __init__(
        self,
        data: FileDataSet,
        split: Split,
        workers: DecodeWorkers,
        placement: Placement,
        seed: int | None = None,
        relabel: Relabel | None = None,
    ) -> None:
        self.data, self.placement, self.seed, self.batch_size = data, placement, seed, data.batch_size
        self.source, members = data.members(split)
        self.files, self.workers, self.relabel = data.listed(self.source), workers, relabel
        self.files.prepare()
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
        self.normalise = Normaliser(data.mean, data.std, device)

    def epoch(self, number: int = 0) -> "StreamingEpoch":
        """Draw an epoch. Its order is the files' unless the loader has a seed."""
        labels = self.labels if self.relabel is None else self.relabel(self.labels, number)
        if self.seed is None:
            return StreamingEpoch(self, labels, torch.arange(self.count), None)
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", number))
        order = torch.randperm(self.count, generator=generator)
        return StreamingEpoch(self, labels, order, derive_seed(self.seed, "views", number))

    def decoded(self, requests: Sequence[Integers]) -> Iterator[Decoded]:
        """Answers to requests (places among the files), from the store or decoded. Raises `UserError`."""

        def decode(missing: Sequence[Integers]) -> Iterator[Decoded]:
            stream = self.workers.stream([Request(self.source, members) for members in missing])
            return checked(self.data, self.source, stream, tolerant=False)

        return through(self.store, requests, decode, self.workers.pinned)

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
        return checked(self.data, self.source, self.workers.stream(requests), tolerant)

    def _find_bad(self) -> Integers:
        """Places of the images to be left out, among the files."""
        data = self.data
        if isinstance(self.store, FileStore):
            bad = self.store.bad
            if len(bad) and data.on_bad_image == "error":
                raise data.refusal(self.source, int(bad[0]), "as was found when the cache was written")
            return bad
        if data.on_bad_image == "skip":
            return bad_images(data, self.source, self.workers, cache_file(data, self.source, "bad.npz"))
        return np.empty(0, np.int64)


class StreamingEpoch(Epoch):
    """One pass over a split that is read from files.

    labels, order: (N,), of the split's images, and places among them. views_seed: draws the views, which are the
    centres without one. Batches are quickest in their order; any other one is right too.
    """

    loader: StreamingLoader

    def __init__(self, loader: StreamingLoader, labels: Tensor, order: Tensor, views_seed: int | None) -> None:
        self.loader, self.labels, self.order, self.views_seed = loader, labels, order, views_seed
        self._next = self._ticket = -1
        self._answers: Iterator[Decoded] = iter(())

    def batch(self, number: int) -> Batch:
        """Make this process's share of a batch."""
        sample = self.sample(number)
        return sample.images, sample.labels

    def sample(self, number: int) -> Sample:
        """This process's share of a batch, with boxes."""
        loader = self.loader
        if (number, loader.workers.ticket) != (self._next, self._ticket):
            self._open(number)
        self._next = number + 1
        mine = self._mine(number)
        images, boxes = self._empty(len(range(mine.start, mine.stop, mine.step))), []
        done = 0
        for places in self._chunks(number):
            answer = next(self._answers)
            views = self._views(answer.shapes[:, :2], places)
            pixels = answer.pixels.to(images.device, non_blocking=True)
            loader.normalise(pixels, answer.shapes[:, :2], views, images[done : done + len(places)])
            done += len(places)
            if loader.files.boxes is not None:
                original = loader.files.boxes[self._members(places)]
                boxes.append(torch.from_numpy(views.boxes(stored_boxes(original, answer.shapes))))
        labels = self.labels[self.order[mine].to(images.device)]
        known = torch.cat([torch.empty(0, 4), *boxes]).to(images.device) if loader.files.boxes is not None else None
        return Sample(images, labels, known)

    def _open(self, number: int) -> None:
        """Begin to read at a batch. Another stream of the same reader has to be left for that."""
        loader = self.loader
        places = (chunk for later in range(number, len(self)) for chunk in self._chunks(later))
        self._answers = loader.decoded([self._members(chunk) for chunk in places])
        self._ticket = loader.workers.ticket

    def _mine(self, number: int) -> slice:
        """Places of this process's share of a batch in the epoch."""
        start, placement = number * self.loader.batch_size, self.loader.placement
        return slice(start + placement.rank, start + self.size(number), placement.world)

    def _chunks(self, number: int) -> list[Integers]:
        mine = self._mine(number)
        places = np.arange(mine.start, mine.stop, mine.step)
        return [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]

    def _members(self, places: Integers) -> Integers:
        """Places among the files of the images at places in the epoch."""
        return self.loader.members[self.order.numpy()[places]]

    def _views(self, shapes: Integers, places: Integers) -> CropParams:
        data = self.loader.data
        if self.views_seed is None:
            return center_views(shapes, data.image_size)
        draws = draws_at(self.views_seed, int(places[0]), int(places[-1]) + 1)[places - places[0]]
        return draw_views(data.train_crop, data.augmentation.flip, shapes, data.image_size, draws)

    def _empty(self, count: int) -> Tensor:
        """Room for images, as training wants them."""
        placement, size = self.loader.placement, self.loader.data.image_size
        layout = torch.channels_last if placement.channels_last else torch.contiguous_format
        shape = (count, 3, size, size)
        return torch.empty(shape, dtype=placement.dtype, device=placement.device, memory_format=layout)


def draws_at(seed: int, start: int, stop: int) -> NDArray[np.float64]:
    """Uniform numbers (stop - start, `DRAWS`) for places of an epoch: always the same ones for a place."""
    generator = np.random.Philox(key=seed).advance(start * DRAWS // 4)  # counts in fours
    return np.random.Generator(generator).random((stop - start, DRAWS))
