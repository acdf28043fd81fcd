"""MNIST: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998.

Read in torchvision's standard layout: `root` holds `MNIST/raw` with four files in idx format.
"""

import hashlib

import numpy as np

from attnbench.data.bases.dataset import SplitDataSet
from attnbench.data.bases.torchvision_layout import TorchvisionLayout
from attnbench.data.sources.arrays import Arrays

SIDE = 28
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""md5 of each unpacked file. torchvision checks the packed files only, after a download: a damaged file ends in an
`AssertionError` without a message, or in wrong labels."""


class MNISTFiles(TorchvisionLayout):
    """Base of the sets that are made from MNIST's files. Options as in `TorchvisionLayout`."""

    torchvision_class = "MNIST"
    folder = "MNIST/raw"
    terms = "CC BY-SA 3.0"
    download_size = "12 MB"

    def missing(self) -> str | None:
        folder = self.root / self.folder
        return next((f"{self.folder}/{name}" for name in FILES if not (folder / name).is_file()), None)

    def digits(self, train: bool) -> Arrays:
        """Read 60,000 training or 10,000 test images (N, 28, 28, 1), downloading them first if necessary."""
        self.check_available()
        if self.missing():
            self._download()
        part = "train" if train else "t10k"
        pixels, labels = (self._content(f"{part}-{kind}") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"))
        # headers of 16 and 8 bytes hold the type and the shape, which the checksums guarantee
        images = np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, SIDE, SIDE, 1)
        return Arrays(images, np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))

    def _download(self) -> None:
        try:
            self.fetch()
        except RuntimeError as error:  # its message lists the servers that were tried, one in each line
            raise self.download_error(" ".join(str(error).split())) from error
        missing = self.missing()
        if missing:  # torchvision accepts converted files of its older versions instead
            raise self.download_error(f"torchvision left no {missing}")

    def _content(self, name: str) -> bytes:
        """Read a file. Raises `UserError` unless its md5 is the published one."""
        path = self.root / self.folder / name
        content = path.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != FILES[name]:
            raise self.damaged_error(path)
        return content


class MNIST(MNISTFiles, SplitDataSet):
    """60,000 training and 10,000 test digits of 28x28 pixels. Options as in `TorchvisionLayout`."""

    name = "mnist"
    classes = tuple("0123456789")
    image_size = SIDE
    channels = 1
    train_images = 60_000
    class_counts = (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    counts = (60_000, 10_000)

    def fingerprint(self) -> str:
        return self.name  # every file is checked against its md5

    def read(self, train: bool) -> Arrays:
        return self.digits(train)
