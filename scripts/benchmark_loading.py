"""Measure how fast images are read, decoded and cropped: attnbench's loader against others, in turns.

    python scripts/benchmark_loading.py ROOT      # ROOT: a folder of class folders with images

Every contestant makes normalised training batches of the same images: random resized crops of 224 pixels with flips.
attnbench makes them in the precision and layout in which it trains on the device, torchvision in single precision.

- cold: attnbench decodes every file; ram, disk: it finds the decoded images in a warm cache;
- torchvision: `ImageFolder` and a `DataLoader` with as many workers; each file is decoded, resized to 256 pixels and
  cropped. `torchvision, from the file` crops before resizing, as torchvision's recipes do;
- webdataset, where it is installed: the same steps as torchvision, on the files in tar shards.

The contestants take turns in one run, so a machine whose speed drifts favours none. Measure while nothing else runs,
and with the files in the system's cache (the first turn, which does not count, puts them there).
"""

import argparse
import tempfile
from pathlib import Path

import torch

from attnbench.bench.loading import contestants
from attnbench.console import make_console, make_table
from attnbench.formatting import middle_half
from attnbench.training.speed_probe import alternate


def show(rates: dict[str, list[float]], title: str) -> None:
    """Print the speed of each contestant, and its ratio to torchvision's within a turn."""
    table = make_table(title, caption="median of all turns (the middle half of them)")
    for heading in ("", "img/s", "times torchvision"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for name, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(values, rates["torchvision"], strict=True)]
        table.add_row(name, middle_half(values, 0), middle_half(ratios, 2))
    make_console().print(table)


def main() -> None:
    """Measure all contestants on a folder of images and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="a folder of class folders with images")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    with tempfile.TemporaryDirectory() as name:
        turns = contestants(arguments.root, arguments.workers, arguments.batch_size, device, Path(name))
        found = alternate(list(turns.values()), arguments.turns)  # the first turn starts workers and fills caches
    rates = dict(zip(turns, found, strict=True))
    show(rates, f"{arguments.workers} workers, batches of {arguments.batch_size}, {device}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
