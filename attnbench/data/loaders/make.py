"""Make the loaders of a data set: in memory or streaming, by the kind of data set."""

from functools import partial

from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.data.loaders.base import Loader, Placement
from attnbench.data.loaders.in_memory import InMemoryLoader
from attnbench.data.loaders.streaming import StreamingLoader
from attnbench.data.loaders.workers import Decoder, DecodeWorkers, automatic_workers
from attnbench.data.splits import Split
from attnbench.data.transforms.label_noise import mislabel
from attnbench.data.transforms.policies import PolicyOptions


class LoaderFactory:
    """Make the loaders of one data set's splits on one device; they share decoding workers, which `close` ends."""

    def __init__(self, data: DataSet, placement: Placement) -> None:
        self.data, self.placement = data, placement
        self._workers: DecodeWorkers | None = None

    def make(self, split: Split, seed: int | None = None, policy: PolicyOptions | None = None) -> Loader:
        """Make the loader of a split.

        Args:
            split: one of the data set's `splits`.
            seed: draws the order, the augmentation and the label noise of training. Without one, images come in order
                and unchanged.
            policy: the augmentation policy of training.

        Raises:
            UserError: the split cannot be read, or a cache cannot be written.
        """
        data = self.data
        relabel = None if seed is None else partial(mislabel, noise=data.noise, classes=data.num_classes, seed=seed)
        if isinstance(data, FileDataSet):
            return StreamingLoader(data, split, self._shared_workers(data), self.placement, seed, relabel, policy)
        augmentation = None if seed is None else data.augmentation
        arrays = data.load(split)
        return InMemoryLoader(
            arrays, data.mean, data.std, data.batch_size, self.placement, augmentation, seed, relabel, policy
        )

    def close(self) -> None:
        """End the decoding workers, if any were started."""
        if self._workers is not None:
            self._workers.close()

    def _shared_workers(self, data: FileDataSet) -> DecodeWorkers:
        if self._workers is None:
            self._workers = make_workers(data, self.placement)
        return self._workers


def make_workers(data: FileDataSet, placement: Placement) -> DecodeWorkers:
    """Make the decoding workers of one process of a run; they stay two batches ahead."""
    device = placement.device.type
    workers = automatic_workers(device, placement.world) if data.workers == "auto" else int(data.workers)
    sources = {split: data.listed(split) for split in data.splits}
    ahead = 2 * -(-data.batch_size // placement.world)
    return DecodeWorkers(Decoder(sources, data.form), workers, ahead, pinned=device == "cuda")
