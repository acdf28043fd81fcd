"""The base class of sets in torchvision's folder layout, which are downloaded on request only."""

from pathlib import Path
from typing import Any, ClassVar

from attnbench.data.bases.dataset import DataSet, folder_of
from attnbench.errors import UserError


class TorchvisionLayout(DataSet):
    """A set whose files are in torchvision's layout.

    A subclass checks the files against published checksums, so that its name is a sufficient fingerprint.

    Args:
        root: the folder that holds the set.
        download: download the set into `root` if it is not there.
        options: see `DataSet`.

    Attributes:
        name: the set's name in configurations.
        torchvision_class: name of the class in `torchvision.datasets`.
        folder: the set's folder below `root`.
        download_size: for messages, such as "170 MB".
    """

    name: ClassVar[str]
    torchvision_class: ClassVar[str]
    folder: ClassVar[str]
    download_size: ClassVar[str]

    def __init__(self, root: str, download: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.root, self.download = folder_of(root), download

    def missing(self) -> str | None:
        """Return the first file or folder that is missing below `root`, or None."""
        return None if (self.root / self.folder).is_dir() else self.folder

    def check_available(self) -> None:
        missing = self.missing()
        if missing and not self.download:
            raise UserError(
                f"data={self.name}: no {missing} in {self.root}; set data.root to the folder that holds it, "
                f"or download it with data.download=true ({self.download_size})"
            )

    def fetch(self, **options: Any) -> Any:
        """Open torchvision's data set, downloading it first if `download` is set and it is missing.

        Raises:
            UserError: the download failed.
            RuntimeError: files are missing or damaged (raised by torchvision).
        """
        from torchvision import datasets

        try:
            return getattr(datasets, self.torchvision_class)(self.root, download=self.download, **options)
        except OSError as error:
            if not self.download:
                raise
            raise self.download_error(getattr(error, "reason", error)) from error

    def download_error(self, reason: object) -> UserError:
        """Build the error for a failed download."""
        return UserError(f"data={self.name}: download failed: {reason}; place {self.folder} in {self.root}")

    def damaged_error(self, path: Path) -> UserError:
        """Build the error for a file that differs from the published one."""
        return UserError(
            f"data={self.name}: {path}: is incomplete or damaged (md5 check); "
            "remove it and download it again with data.download=true"
        )
