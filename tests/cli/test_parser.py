"""Flags: an empty value, and a flag that has no effect, are one line and status 2, before anything is done."""

from pathlib import Path

import pytest

from attnbench.cli.main import VERBS, main
from attnbench.cli.parser import Parser
from attnbench.errors import UserError

Capture = pytest.CaptureFixture[str]


def refused(capsys: Capture, *words: str) -> str:
    """Return the line with which a command line is refused."""
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert not list(Path().iterdir())
    return printed.err.removeprefix("attnbench: ").rstrip("\n")


WITHOUT_VALUE = [
    ("train", "--config-dir", ""),
    ("train", "-cd", " "),
    ("train", "--cfg=", "seed=1"),
    ("cost", "-cn", ""),
    ("list", "data", "--root", ""),
    ("evaluate", "RUN", "--output="),
    ("explain", "RUN", "--method", ""),
    ("explain", "RUN", "--method", ","),
    ("explain", "RUN", "--layers", " , "),
    ("explain", "RUN", "--to", ""),
    ("explain", "RUN", "--image", ""),
    ("predict", "RUN", "a.png", "--maps", ""),
    ("export", "RUN", "--format", "onnx", "--to", ""),
    ("report", "RUN", "--metric", ""),
    ("table", "bam/1b", "--columns", ""),
    ("table", "bam/1b", "--to", ""),
    ("reproduce", "bam/1b", "--profile", ""),
    ("reproduce", "bam/1b", "--only", ""),
    ("clean", "--yes", "--older-than", ""),
    ("bench", "--against", ""),
]


@pytest.mark.parametrize("words", WITHOUT_VALUE, ids=" ".join)
def test_an_empty_value_is_refused(words: tuple[str, ...], capsys: Capture) -> None:
    flag = next(word for word in words if word.startswith("-") and word not in ("--yes", "--format"))
    verb = f"attnbench {words[0]}"
    reason = "its value is empty; give it one, or leave the flag out"
    assert refused(capsys, *words) == f"{verb}: {flag.rstrip('=')}: {reason}; see {verb} --help"


@pytest.mark.parametrize("verb", VERBS)
def test_an_empty_word_is_refused(verb: str, capsys: Capture) -> None:
    assert refused(capsys, verb, "") == f"attnbench {verb}: a word is empty; leave it out; see attnbench {verb} --help"


def test_a_flag_without_a_value_may_stand_before_an_empty_word() -> None:
    parser = Parser(prog="attnbench try")
    parser.add_argument("--yes", action="store_true")
    with pytest.raises(UserError, match="a word is empty"):
        parser.parse_args(["--yes", ""])


WITHOUT_EFFECT = {
    ("cost", "--batch", "16"): "--batch 16: needs --measure",
    ("cost", "--layers", "--turns", "7"): "--turns 7: needs --measure",
    ("explain", "RUN", "--image", "a.png", "--pick", "random"): "--pick random: chooses test images, and --image names",
    ("explain", "RUN", "--image", "a.png", "--images", "8"): "--images 8: chooses test images",
    ("explain", "RUN", "--image", "a.png", "--seed", "0"): "--seed 0: chooses test images",
    ("list", "--root", "data"): "--root data: is for attnbench list data",
    ("list", "attention", "--root", "data"): "--root data: is for attnbench list data",
    ("list", "runs", "--root", "data"): "--root data: is for attnbench list data",
    ("list", "paper", "--output", "outputs"): "--output outputs: is for attnbench list runs",
    ("report", "RUN", "--images", "3"): "--images 3: needs --explain",
    ("report", "RUN", "--checkpoint", "last"): "--checkpoint last: needs --explain",
    ("report", "RUN", "--trust", "lab"): "trust=lab: needs --explain",
    ("report", "RUN", "trust=lab"): "trust=lab: needs --explain",
    ("report", "RUN", "data.root=DIR"): "data.root=DIR: needs --explain",
    ("predict", "RUN", "a.png", "--force"): "--force: replaces maps, and needs --maps",
    ("status", "--watch", "--json"): "--watch: shows a view that changes, and --json prints once",
    ("bench", "loop", "--files", "64"): "--files 64: is for folder and loading",
    ("reproduce", "bam/1b", "--max-seeds", "9"): "--max-seeds 9: needs --until-decided",
    ("reproduce", "bam/1b", "--dry-run", "--to", "a.md"): "--to a.md: --dry-run prints no results",
    ("reproduce", "bam/1b", "--format", "claims-csv", "--columns", "last"): "--columns last: the columns of claims-csv",
    ("table", "bam/1b", "--format", "claims-csv", "--columns", "last"): "--columns last: the columns of claims-csv are",
    (
        "table",
        "--pooled",
        "x",
        "--to",
        "a.svg",
        "--columns",
        "last",
    ): "--columns last: the forest plot alone, in a.svg",
    ("train", "-p", "attention"): "-p attention: needs --cfg",
    ("train", "--resolve"): "--resolve: needs --cfg",
    ("train", "--cfg", "hydra", "-m"): "--cfg hydra: prints one configuration; leave out -m",
    ("train", "--cfg", "job", "--info"): "--cfg and --info: ask for one of them",
    ("train", "-m", "--info", "config"): "-m and --info: ask for one of them",
    ("train", "-m", "-sc", "install=bash"): "-m and -sc: ask for one of them",
    ("train", "--info", "nothing"): "attnbench train: argument -i/--info: invalid choice: 'nothing'",
    ("status", "--output", "a", "output=b"): "--output a: output=b names a folder too; leave one of them out",
    ("evaluate", "RUN", "--output", "a", "output=b"): "--output a: output=b names a folder too",
    ("evaluate", "RUN", "output="): "output=: names no folder; output=. is the current one",
}


@pytest.mark.parametrize(("words", "message"), WITHOUT_EFFECT.items(), ids=lambda value: " ".join(value))
def test_a_flag_without_effect_is_refused(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert refused(capsys, *words).startswith(message)


ENDINGS = {
    ("table", "bam/1b", "--to", "a.md", "--format", "latex"): "--to a.md: this is the ending of another format; "
    "that of latex is .tex",
    ("table", "--pooled", "x", "--to", "a.png", "--format", "csv"): "--to a.png: this is the ending of another format; "
    "that of csv is .csv",
    ("reproduce", "bam/1b", "--to", "a.csv", "--format", "html"): "--to a.csv: this is the ending of another format; "
    "that of html is .html",
    ("tune", "--to", "a.tex", "--format", "markdown"): "--to a.tex: this is the ending of another format; "
    "that of markdown is .md",
    ("export", "RUN", "--to", "a.pt2", "--format", "onnx"): "--to a.pt2: this is the ending of another format; "
    "that of onnx is .onnx",
}


@pytest.mark.parametrize(("words", "message"), ENDINGS.items(), ids=lambda value: " ".join(value))
def test_a_format_and_the_ending_of_another_one_are_refused(
    words: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert refused(capsys, *words) == message
