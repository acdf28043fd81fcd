"""attnbench export: write a trained classifier as a file that other programs run."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attnbench.cli.arguments import loaded, run_parser, split_location, wants_help
from attnbench.cli.help import EXPORT
from attnbench.cli.wrap import print_help
from attnbench.exit_codes import DONE
from attnbench.export.formats import FORMATS, PIXELS, Format, format_of
from attnbench.runs.files import shown

if TYPE_CHECKING:
    from attnbench.export.export import Exported


def main(words: Sequence[str]) -> int:
    """Export a run's network, say what was written, and return the exit status."""
    if wants_help(words):
        print_help(EXPORT)
        return DONE
    others, location = split_location(words)
    arguments = parse(others)
    form = format_of(arguments.format, arguments.to)
    form.check_installed()

    from attnbench.export.export import export_run

    run = loaded(arguments, location)
    done = export_run(run, form, arguments.to, arguments.pixels, arguments.maps, arguments.force)
    size, channels = run.data.image_size, run.data.channels
    print(describe(done, form, f"{arguments.pixels} pixels (B, {channels}, {size}, {size})"))
    return DONE


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the flags. Raises `UserError`."""
    parser = run_parser("export")
    parser.add_argument("--format", choices=tuple(FORMATS))
    parser.add_argument("--to", type=Path)
    parser.add_argument("--pixels", choices=PIXELS, default="uint8")
    parser.add_argument("--maps", action="store_true")
    parser.add_argument("--force", action="store_true")
    return parser.parse_args(words)


def describe(done: "Exported", form: Format, pixels: str) -> str:
    """Return in a few lines what was written, what it takes and gives, and how exact it is."""
    from attnbench.export.agreement import TOLERANCE

    compared = done.compared
    sizes = "any image size" if done.free_size else "this image size only"
    files = ", ".join(map(shown, done.paths))
    return "\n".join(
        [
            f"{files} · {form.name} · {done.size / 2**20:.1f} MiB",
            f"  in: {pixels}, any batch, {sizes}",
            f"  out: {', '.join(compared.outputs)}",
            f"  largest difference to the original: {compared.random:.1e} on random pixels, "
            f"{compared.real:.1e} on {compared.images} test images (up to {TOLERANCE:.0e} is allowed)",
        ]
    )
