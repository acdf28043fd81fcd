"""Every command of the documentation works: it is run where that is quick, and otherwise composed or looked up."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from attnbench.cli.cost import configurations
from attnbench.cli.cost import parse as parse_cost
from attnbench.cli.export import parse as parse_export
from attnbench.cli.main import VERBS, main
from attnbench.cli.reproduce import parse as parse_reproduce
from attnbench.cli.tune_lr import parse as parse_tune_lr
from attnbench.config.compose import compose
from attnbench.config.sweep import expand
from attnbench.export.formats import format_of
from attnbench.tables.spec.load import load_profiles, load_table, table_files
from attnbench.tune.options import read_request
from tests.docs.pages import ROOT, Command, commands, pages

ALL = [command for page, text in pages().items() for command in commands(page, text)]
PLACEHOLDER = re.compile(r"\bNAME\b")
RUN_BY_DEFAULT = ("README.md", "CONTRIBUTING.md")
"""Pages all of whose commands the usual tests run."""
LONG = ("explain", "evaluate", "predict")
"""Verbs that compute for seconds."""
FAILS_AS_SHOWN = "attention.reducton=8"


def option(words: Sequence[str], flag: str) -> str | None:
    """Return what follows a flag."""
    return words[words.index(flag) + 1] if flag in words else None


def check_composed(words: Sequence[str]) -> None:
    """Compose what `train` would run."""
    config_dir = option(words, "--config-dir")
    overrides = [word for word in words if word not in ("-m", "--config-dir", config_dir)]
    if "-m" in words:
        assert expand(overrides, config_dir).configs
    else:
        assert compose(overrides, config_dir).choices


def check_train(words: Sequence[str]) -> None:
    if "--cfg" in words or "-sc" in words:
        check_runs("train")(words)
    else:
        check_composed(words)


def check_cost(words: Sequence[str]) -> None:
    assert configurations(parse_cost(words))


def check_runs(verb: str) -> Callable[[Sequence[str]], None]:
    """Return a check that runs the verb in this process, on the tiny runs."""

    def check(words: Sequence[str]) -> None:
        runs = {path.name.split("-")[2]: path for path in Path("outputs/runs").iterdir()}
        names = {"HASH": runs["none"].name[-10:], "outputs/runs/NAME/seed0": str(runs["bam"] / "seed0")}
        assert main([verb, *(names.get(word, word) for word in words)]) == 0

    return check


def check_reproduce(words: Sequence[str]) -> None:
    arguments = parse_reproduce(words)
    table = load_table(arguments.table, arguments.config_dir)
    assert arguments.profile in load_profiles(table, arguments.config_dir)


def check_table(words: Sequence[str]) -> None:
    """Run tables of runs; look up those of papers, whose networks take long to count."""
    name = words[0]
    if name in table_files(option(words, "--config-dir")):
        check_reproduce([word for word in words if word not in ("--to", option(words, "--to"))])
    else:
        check_runs("table")(words)


def check_tune(words: Sequence[str]) -> None:
    """Read the words, and compose the methods."""
    request = read_request(words, None)
    assert request.space and expand(request.overrides).configs


def check_tune_lr(words: Sequence[str]) -> None:
    """Read the words, and compose the configuration."""
    assert compose(parse_tune_lr(words).overrides).choices


def check_export(words: Sequence[str]) -> None:
    """Read the flags; exports themselves take long, and have tests of their own."""
    arguments = parse_export(words)
    assert format_of(arguments.format, arguments.to)


def check_pip(words: Sequence[str]) -> None:
    """Look up the extras that are installed."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert words[0] == "install"
    named = re.findall(r"\[([\w,]+)\]", " ".join(words))
    assert all(extra in extras for group in named for extra in group.split(","))


def check_python(words: Sequence[str]) -> None:
    """Look for the script."""
    assert words[0] == "-m" or (ROOT / words[0]).is_file()


def check_pytest(words: Sequence[str]) -> None:
    """Look for the tests."""
    paths = [word for word in words if word.startswith("tests")]
    assert all((ROOT / path).exists() for path in paths)


def check_attnbench(words: Sequence[str]) -> None:
    verb, *rest = words
    if verb == "--version" or "--help" in rest:
        assert main(list(words)) == 0
        return
    assert verb in VERBS
    checks = {"train": check_train, "cost": check_cost, "reproduce": check_reproduce, "table": check_table}
    checks |= {"export": check_export, "tune": check_tune, "tune-lr": check_tune_lr}
    if not any(PLACEHOLDER.search(word.partition("=")[2]) for word in rest):  # those have a test of their own
        checks.get(verb, check_runs(verb))(rest)


def check_torchrun(words: Sequence[str]) -> None:
    check_attnbench(words[words.index("attnbench") + 1 :])


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "attnbench": check_attnbench,
    "pip": check_pip,
    "python": check_python,
    "pytest": check_pytest,
    "torchrun": check_torchrun,
}


def cases() -> list[object]:
    """List the commands as tests; what computes for seconds is slow, but for the first pages that one reads."""
    found: list[object] = []
    for command in ALL:
        long = set(command.words[1:2]) & set(LONG) and command.page not in RUN_BY_DEFAULT
        found.append(pytest.param(command, id=str(command), marks=pytest.mark.slow if long else ()))
    return found


def test_pages_have_commands() -> None:
    assert len(ALL) > 100
    assert {command.page for command in ALL} >= {
        "README.md",
        "CONTRIBUTING.md",
        "docs/tutorial.md",
        "docs/extending.md",
    }


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("command", cases())
def test_command_works(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    program, *words = command.words
    if FAILS_AS_SHOWN in words:
        assert main(words) == 2
        assert capsys.readouterr().err.startswith("attnbench: attention.reducton: attention=bam has no such key")
    elif program in CHECKS:
        CHECKS[program](words)


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize(
    "words",
    [
        pytest.param("cost --config-dir mine attention=stage_gates", marks=pytest.mark.slow),
        pytest.param("cost --config-dir mine attention=declared_gates", marks=pytest.mark.slow),
        "cost -m --config-dir mine backbone=plain attention=none,bam,gated",
        "train --config-dir mine data=stripes recipe.epochs=2",
        pytest.param("train --config-dir mine experiment=idea recipe.epochs=1", marks=pytest.mark.slow),
        pytest.param("table lab/gates --config-dir mine", marks=pytest.mark.slow),
    ],
)
def test_examples_of_extending_run(words: str) -> None:
    command = Path(sys.executable).with_name("attnbench")
    result = subprocess.run([command, *words.split()], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.usefixtures("there")
def test_contributing_s_attention_works_word_for_word() -> None:
    text = pages()["CONTRIBUTING.md"]
    python = re.search(r"^    ```python\n(.*?)^    ```$", text, re.DOTALL | re.MULTILINE)
    yaml = re.search(r"^    ```yaml\n(.*?)^    ```$", text, re.DOTALL | re.MULTILINE)
    assert python and yaml
    Path("contributed.py").write_text(re.sub("^    ", "", python[1], flags=re.MULTILINE), encoding="utf-8")
    content = re.sub("^ +", "", yaml[1], flags=re.MULTILINE).replace("attnbench.attention.NAME", "contributed")
    Path("mine/attention/NAME.yaml").write_text(content, encoding="utf-8")
    attnbench = Path(sys.executable).with_name("attnbench")
    for shown in (command for command in ALL if command.page == "CONTRIBUTING.md" and "NAME" in str(command)):
        words = [shown.words[1], "--config-dir", "mine", *shown.words[2:]]
        words += ["backbone.width=4", "trainer.threads=1"] if shown.words[1] == "train" else []
        result = subprocess.run([attnbench, *words], check=False, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
