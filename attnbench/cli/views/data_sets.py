"""The data sets as a table: which are on disk, and how to get the others."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnbench.config.compose import Composer
from attnbench.config.search_path import choices, describe
from attnbench.console import make_table
from attnbench.construct import construct
from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.errors import UserError
from attnbench.formatting import of_all

WIDE = 110
"""Columns of a terminal in which numbers and descriptions fit side by side."""
UNKNOWN = "–"


def show_data_sets(console: Console, folders: Sequence[Path], root: str | None, config_dir: str | None) -> None:
    """Print the data sets with images, classes and terms of use; below them, how to get what is missing.

    Args:
        console: where to print.
        folders: config folders, in order of precedence.
        root: the folder with the data sets; None for each set's own `data.root`.
        config_dir: the user's folder of further configs.
    """
    descriptions = {name: describe(path) for name, path in choices("data", folders).items()}
    narrow = console.width < WIDE
    table, missing = _empty_table(narrow), {}
    for name, options in Composer(config_dir).every_choice("data").items():
        in_files = "root" in options
        if in_files and root is not None:
            options["root"] = root
        data: DataSet = construct("data", options)
        missing[name] = _what_is_missing(data).removeprefix(f"data={name}: ")
        state = "no" if missing[name] else "yes" if in_files else "bundled"
        about = Text(f"{descriptions[name]}\nTerms: {data.terms}" if data.terms else descriptions[name])
        numbers = _images(data, state != "no"), _classes(data), str(data.image_size)
        if narrow:
            facts = zip(("images", "classes", "px"), numbers, strict=True)
            known = ", ".join(f"{number} {what}" for what, number in facts if number != UNKNOWN)
            table.add_row(name, state, Text(f"{known}\n") + about)
        else:
            table.add_row(name, state, *numbers, about)
    console.print(table)
    for name, message in missing.items():
        if message:
            console.print(f"  {name}: {message}", soft_wrap=True)


def _empty_table(narrow: bool) -> Table:
    """Return a table with the columns' names; a narrow one has the numbers in the last column."""
    table = make_table()
    for column in ("name", "on disk") if narrow else ("name", "on disk", "images", "classes", "size"):
        table.add_column(column, no_wrap=True)
    table.add_column("description and terms of use")
    return table


def _what_is_missing(data: DataSet) -> str:
    """Return what a set lacks on disk and how to get it, or nothing. No images are counted."""
    try:
        data.check_layout() if isinstance(data, FileDataSet) else data.check_available()
    except UserError as error:
        return str(error)
    return ""


def _images(data: DataSet, on_disk: bool) -> str:
    """Return the numbers of training and test images, or a dash where only the files could tell and do not."""
    counts = data.counts
    try:
        if on_disk and (len(counts) < 2 or data.num_classes != data.all_classes):
            if isinstance(data, FileDataSet):
                counts = len(data.listed("train")), len(data.listed("test"))
            else:
                counts = (data.train_images,)
    except UserError:
        counts = ()
    return " + ".join(f"{count:,}" for count in counts) or UNKNOWN


def _classes(data: DataSet) -> str:
    """Return the number of classes, or a dash where only the files could tell and are missing."""
    try:
        return of_all(data.num_classes, data.all_classes)
    except UserError:
        return UNKNOWN
