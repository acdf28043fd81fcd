"""Sets that torchvision knows: read where they lie in its layout, downloaded on request alone."""

from pathlib import Path
from typing import Any, ClassVar

from attnbench.data.bases.dataset import DataSet, folder_of
from attnbench.errors import UserError


class TorchvisionLayout(DataSet):
    """A set whose files lie in torchvision's layout.

    root: folder that holds the set. download: fetch it there if it is absent. Further options as in `DataSet`.

    A subclass sets `name` (the choice of `data`), `kind` (torchvision's class), `folder` (below root),
    `download_size`, and checks what it reads against published checksums, so that `name` tells what lies there.
    """

    name: ClassVar[str]
    kind: ClassVar[str]
    folder: ClassVar[str]
    download_size: ClassVar[str]

    def __init__(self, root: str, download: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.root, self.download = folder_of(root), download

    def missing(self) -> str | None:
        """What is looked for below root and not there."""
        return None if (self.root / self.folder).is_dir() else self.folder

    def find(self) -> None:
        missing = self.missing()
        if missing and not self.download:
            raise UserError(
                f"data={self.name}: no {missing} in {self.root}; set data.root to the folder that holds it, "
                f"or fetch it there with data.download=true ({self.download_size})"
            )

    def fetch(self, **options: Any) -> Any:
        """Open torchvision's data set, which downloads it if asked to and not there.

        Raises `UserError` if that fails; `RuntimeError` is torchvision's word for files that are not what they were.
        """
        from torchvision import datasets

        try:
            return getattr(datasets, self.kind)(self.root, download=self.download, **options)
        except OSError as error:
            if not self.download:
                raise
            raise self.failed(getattr(error, "reason", error)) from error

    def failed(self, reason: object) -> UserError:
        """The download failed."""
        return UserError(f"data={self.name}: download failed: {reason}; place {self.folder} in {self.root}")

    def damaged(self, path: Path) -> UserError:
        """What lies at `path` is not what was published."""
        return UserError(
            f"data={self.name}: {path}: is incomplete or damaged (md5 check); "
            "remove it and fetch it again with data.download=true"
        )
