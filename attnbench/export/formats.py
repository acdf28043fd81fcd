"""The formats of exported networks: names, endings, and the packages that they need. Imports no torch."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from attnbench.errors import NotInstalledError, UserError, require_ending

Pixels = Literal["uint8", "float"]
PIXELS: tuple[Pixels, ...] = get_args(Pixels)
"""Input of an exported network: bytes from 0 to 255, or single precision from 0 to 1."""


@dataclass(frozen=True)
class Format:
    """A format of exported networks.

    Attributes:
        name: in the command line.
        suffix: of its files.
        traced: whether a file holds the graph; otherwise it holds weights, and attnbench builds the network.
        packages: that it needs besides torch.
        extra: of attnbench, which brings them.
    """

    name: str
    suffix: str
    traced: bool
    packages: tuple[str, ...] = ()
    extra: str = ""

    def check_installed(self) -> None:
        """Raise `NotInstalledError` if a package is missing."""
        missing = [package for package in self.packages if find_spec(package) is None]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            raise NotInstalledError(
                f"--format {self.name} needs {', '.join(missing)}, which {are} not installed: "
                f"pip install 'attnbench[{self.extra}]'"
            )


FORMATS = {
    each.name: each
    for each in (
        Format("onnx", ".onnx", True, ("onnx", "onnxruntime", "onnxscript"), "onnx"),
        Format("torch_export", ".pt2", True),
        Format("safetensors", ".safetensors", False, ("safetensors",), "safetensors"),
    )
}


def format_of(name: str | None, to: Path | None) -> Format:
    """Return the format of a name, otherwise of a file's ending. Raises `UserError` if they disagree or name none."""
    by_ending = {each.suffix: each for each in FORMATS.values()}
    ending = None if to is None else by_ending.get(to.suffix)
    chosen = ending if name is None else FORMATS[name]
    if chosen is None:
        names = ", ".join(f"{each.name} ({each.suffix})" for each in FORMATS.values())
        raise UserError(f"attnbench export: name a format with --format, or a file with its ending: {names}")
    require_ending(to, chosen.name, chosen.suffix, by_ending)
    return chosen
