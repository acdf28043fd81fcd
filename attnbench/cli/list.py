"""attnbench list: what can be composed, which data is there, the state of runs."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attnbench.cli.arguments import Parser, wants_help
from attnbench.cli.help import shown_choices
from attnbench.config import search_path
from attnbench.console import make_console, make_table
from attnbench.data.bases.dataset import DataSet
from attnbench.data.bases.file_dataset import FileDataSet
from attnbench.errors import UserError, nearest
from attnbench.exit_codes import DONE
from attnbench.formatting import of_all

HELP = """\
attnbench list                      all groups and their choices
attnbench list GROUP                a group's choices: {groups}
attnbench list data [--root DIR]    data sets: whether they are on disk, their terms, how to get them
attnbench list paper                the papers' tables
attnbench list runs [--output DIR]  runs and their state

Flags:
  --root DIR         where data sets are looked for (default: each set's data.root, which is data)
  --output DIR       the folder that holds runs/ (default: outputs)
  --config-dir DIR   a folder of further configs
"""


def main(words: Sequence[str]) -> int:
    """Print a list; returns the exit status."""
    if wants_help(words):
        print(HELP.format(groups=", ".join(search_path.groups(search_path.search_path()))))
        return DONE
    parser = Parser(prog="attnbench list", add_help=False, allow_abbrev=False)
    parser.add_argument("what", nargs="?")
    parser.add_argument("--root")
    parser.add_argument("--output", default="outputs")
    parser.add_argument("-cd", "--config-dir")
    arguments = parser.parse_args(words)
    folders = search_path.search_path(arguments.config_dir)
    groups = search_path.groups(folders)
    console = make_console()
    if arguments.what is None:
        for group in groups:
            console.print(f"{group:<11} {', '.join(shown_choices(group, folders))}", markup=False)
    elif arguments.what == "data":
        list_data(console, folders, arguments.root, arguments.config_dir)
    elif arguments.what == "runs":
        return list_runs(console, Path(arguments.output))
    elif arguments.what == "paper":
        console.print(paper_table(arguments.config_dir))
    elif arguments.what in groups:
        console.print(group_table(arguments.what, folders))
    else:
        names = [*groups, "paper", "runs"]
        raise UserError(f"{arguments.what}: nothing to list{nearest(arguments.what, names)} ({', '.join(names)})")
    return DONE


def group_table(group: str, folders: Sequence[Path]) -> Table:
    """A group's choices with their descriptions."""
    table = Table(show_header=False, box=None)
    files = search_path.choices(group, folders).values()
    for name, path in zip(shown_choices(group, folders), files, strict=True):
        table.add_row(name, search_path.describe(path))
    return table


def paper_table(config_dir: str | None) -> Table:
    """The papers' tables with their descriptions."""
    from attnbench.tables.load import descriptions

    table = Table(show_header=False, box=None)
    for name, text in descriptions(config_dir).items():
        table.add_row(name, text)
    return table


def list_data(console: Console, folders: Sequence[Path], root: str | None, config_dir: str | None) -> None:
    """Print the data sets: images, classes, terms, and whether they are on disk, or else what is missing and how to
    get it.
    """
    from attnbench.config.compose import Composer
    from attnbench.construct import construct

    described = {name: search_path.describe(path) for name, path in search_path.choices("data", folders).items()}
    table, missing = make_table(), {}
    for column in ("name", "on disk", "images", "classes", "size"):
        table.add_column(column, no_wrap=True)
    table.add_column("description and terms of use")
    for name, node in Composer(config_dir).every_choice("data").items():
        in_files = "root" in node
        if in_files and root is not None:
            node["root"] = root
        data: DataSet = construct("data", node)
        missing[name] = _missing(data).removeprefix(f"data={name}: ")
        state = "no" if missing[name] else "yes" if in_files else "bundled"
        about = Text(f"{described[name]}\nTerms: {data.terms}" if data.terms else described[name])
        table.add_row(name, state, _images(data, state != "no"), _classes(data), str(data.image_size), about)
    console.print(table)
    for name, told in missing.items():
        if told:
            console.print(f"  {name}: {told}", markup=False, soft_wrap=True)


def _missing(data: DataSet) -> str:
    """What is missing of a set, and how to get it; nothing if it is there. Counts no images."""
    try:
        data.look() if isinstance(data, FileDataSet) else data.find()
    except UserError as error:
        return str(error)
    return ""


def _images(data: DataSet, there: bool) -> str:
    """How many training and test images a set has; a dash where only its files could tell and they do not."""
    counts = data.counts
    try:
        if there and (len(counts) < 2 or data.num_classes != data.all_classes):
            if isinstance(data, FileDataSet):
                counts = len(data.listed("train")), len(data.listed("test"))
            else:
                counts = (data.train_images,)
    except UserError:
        counts = ()
    return " + ".join(f"{count:,}" for count in counts) or "–"


def _classes(data: DataSet) -> str:
    """How many classes a set has; a dash where only its files could tell and they are not there."""
    try:
        return of_all(data.num_classes, data.all_classes)
    except UserError:
        return "–"


def list_runs(console: Console, output: Path) -> int:
    """Print the runs under an output folder."""
    from attnbench.runs.files import readable
    from attnbench.runs.folder import find_runs, shown
    from attnbench.runs.metric_names import BEST_TEST_TOP1, TEST_TOP1
    from attnbench.runs.record import FinishedRecord

    runs = find_runs(output)
    if not runs:
        raise UserError(f"no runs under {shown(output / 'runs')}; attnbench train makes one")
    table = make_table()
    table.add_column("run", overflow="fold")  # the one column that may be narrow
    for column in ("state", "epochs", "test top-1", "best val. epoch"):
        table.add_column(column, no_wrap=True)
    for run in runs:
        record = readable(run.record, None)
        metrics = record.metrics if isinstance(record, FinishedRecord) else {}
        accuracies = (metrics.get(name) for name in (TEST_TOP1, BEST_TEST_TOP1))
        shown_accuracies = ("" if value is None else f"{value:.2%}" for value in accuracies)
        table.add_row(str(run.path.relative_to(output / "runs")), run.state(), run.epochs(), *shown_accuracies)
    console.print(table)
    return DONE
