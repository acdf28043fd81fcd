"""The command line as a person meets it: help, lists, costs, mistakes, statuses."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

import attnbench
from attnbench.cli.cost import configurations, parse
from attnbench.cli.main import VERBS, main
from attnbench.cli.views.data_sets import show_data_sets
from attnbench.cli.views.runs import show_runs
from attnbench.config.compose import Composer, compose
from attnbench.config.search_path import choices, search_path
from attnbench.runs.folder import RunFolder
from tests.data.layouts import write_food101
from tests.faults.test_no_room import largest_file
from tests.runs.samples import make_finished

Capture = pytest.CaptureFixture[str]
ATTENTIONS = sorted(choices("attention", search_path()))


TOO_LONG = "x" * 300


def say(capsys: Capture, *words: str) -> tuple[int, str, str]:
    """Run the command line; its status, output and errors."""
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.smoke
@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_names_the_verbs_that_work(words: tuple[str, ...], capsys: Capture) -> None:
    status, out, _ = say(capsys, *words)
    assert status == 0
    for verb in VERBS:
        assert f"  {verb} " in out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: Capture) -> None:
    for flag in ("-h", "--help"):
        status, out, _ = say(capsys, verb, flag)
        assert status == 0
        assert out.startswith(f"attnbench {verb}")


def test_trains_help_lists_groups_choices_and_examples(capsys: Capture) -> None:
    _, out, _ = say(capsys, "train", "--help")
    for part in (
        *ATTENTIONS,
        "timm/<name>",
        "wrn<depth>_<width>",
        "timm/<name>, torchvision/<name>",
        "cluttered_digits",
        "Examples:",
        "--config-dir",
    ):
        assert part in " ".join(out.split())


def test_trains_help_lists_the_users_own_choices(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "mine" / "attention").mkdir(parents=True)
    (own_folder / "mine" / "attention" / "own.yaml").write_text("# My attention\n_target_: x.Y\n")
    for words in (("train", "--help", "--config-dir", "mine"), ("list", "attention", "--config-dir", "mine")):
        _, out, _ = say(capsys, *words)
        assert "own" in out


@pytest.mark.smoke
def test_version(capsys: Capture) -> None:
    assert say(capsys, "--version")[1].strip() == f"attnbench {attnbench.__version__}"


MISTAKES = {
    ("trian",): "trian: no such verb; did you mean train?",
    ("train", "attention=bamm"): "did you mean bam?",
    ("train", "--foo"): "attnbench train: --foo: no such flag",
    ("train", "--seed", "3"): "--seed: no such flag; a key is written without dashes: seed=3",
    ("cost", "--lr=0.1"): "--lr: no such flag; a key is written without dashes: recipe.lr=0.1",
    ("train", "--batch-size", "32"): "a key is written without dashes: data.batch_size=32",
    ("reproduce", "bam/1b", "--seed", "3"): "--seed: no such flag; did you mean --seeds?",
    ("cost", "--batch", "0"): "argument --batch: 0: must be a whole number, at least 1",
    ("cost", "--pixels", "24,x"): "argument --pixels: x: must be a whole number, at least 1",
    ("cost", "--layers", "--pixels", "24,48"): "--layers lists the layers of one network",
    ("cost", "bam"): "bam: not an override of the form key=value: the equals sign is missing; did you mean attention=",
    ("train", "-m", "--cfg", "job"): "--cfg job: prints one configuration; leave out -m",
    ("train", "seed=0,1"): "seed=0,1: to try several values add -m; a list is written seed=[…]",
    ("cost", "seed=0,1"): "seed=0,1: to try several values add -m",
    ("train", "--cfg", "job", "seed=0,1"): "seed=0,1: takes one value here; a list is written seed=[…]",
    ("train", "hydra.job.name=a,b"): "hydra.job.name=a,b: takes one value here",
    ("tune-lr", "recipe.lr=1,2"): "recipe.lr=1,2: takes one value here",
    ("status", "output=a,b"): "output=a,b: takes one value here",
    ("train", "output=a\nb"): "output=a\\nb: an override is one line of text",
    ("cost", "attention._target_=builtins.dict"): "attention: builtins.dict: no signature found",
    ("cost", "backbone._target_=builtins.dict"): "_target_=builtins.dict: no signature found",
    ("cost", "attention._target_=..x"): "attention._target_=..x: cannot be imported",
    ("train", "--cfg", "jib"): "invalid choice: 'jib'",
    ("train", "--cfg", "job", "-p", "attentoin"): "-p attentoin: no such group or key",
    ("train", "attention=bam", "attention.reduction=99"): "attention.reduction=99: leaves none of the 16 channels",
    ("train", "backbone.depth=21"): "backbone.depth=21: must be 6n+2",
    ("train", "backbone=torchvision/resnet5"): "torchvision has no such classifier; did you mean resnet50?",
    ("train", "backbone=timm/resnet5"): "timm has no such classifier; did you mean resnet50?",
    ("train", "recipe.freeze=stage4"): "recipe.freeze=stage4: must be one of none, backbone, stem, stage1, stage2",
    ("train", "data.batch_size=0"): "data.batch_size=0: must be at least 1",
    ("train", "recipe.lr=-1"): "recipe.lr=-1.0: must be positive",
    ("train", "recipe.lr=nan"): "recipe.lr=nan: must be finite",
    ("train", "seed=-1"): "attnbench: seed=-1: must be from 0",
    ("train", "output=a_file"): "a_file is not a folder",
    ("train", "output="): "output=: names no folder; output=. is the current one",
    ("train", "-m", "seed=range(0)"): "seed=range(0): holds no value",
    ("train", "output=/proc/nothing"): "/proc/nothing",
    ("train", "data=cifar10", "data.root=nowhere"): "data.download=true",
    ("train", "trainer.devices=0"): "trainer.devices=0: must be at least 1",
    ("train", "--config-dir", "nowhere"): "--config-dir nowhere: no such folder",
    ("train", "-m", "attention=none,bam", "attention.foo=1"): "attention.foo",
    ("train", "-m", "sweep.jobs=0"): "sweep.jobs=0: must be at least 1",
    ("list", "atention"): "atention: nothing to list; did you mean attention?",
    ("list", "runs"): "no runs under outputs/runs",
    ("list", "papers"): "papers: nothing to list; did you mean paper?",
    ("cost", "attention=bamm"): "did you mean bam?",
    ("cost", "backbone.depth=21"): "backbone.depth=21",
}


def test_a_run_whose_folder_cannot_be_made_fails_as_runs_do(capsys: Capture) -> None:
    status, out, err = say(capsys, "train", "-m", "seed=0,1", "output=/proc/nothing")
    assert (status, err.count("/proc/nothing/runs/")) == (1, 4)  # each run, and the reason
    assert "2 runs: 2 failed" in out


@pytest.mark.parametrize(("words", "message"), MISTAKES.items(), ids=lambda value: " ".join(value))
def test_a_mistake_is_one_line_and_status_2(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    Path("a_file").touch()
    status, _, err = say(capsys, *words)
    assert status == 2
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("attnbench: ")
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("to", "status", "message"),
    [
        ("table.html", 1, "table.html: cannot be written: File too large ("),
        (f"{'x' * 300}.html", 2, f"{'x' * 300}.html: File name too long"),
    ],
)
def test_a_table_that_cannot_be_written_is_the_users_mistake_or_the_machines(
    to: str, status: int, message: str, capsys: Capture
) -> None:
    with largest_file(500):
        ended, _, err = say(capsys, "table", "bam/1b", "--to", to)
    assert ended == status
    assert err.startswith(f"attnbench: {message}")
    assert not list(Path().glob(".*"))


def test_an_interrupt_is_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(words: list[str]) -> int:
        signal.raise_signal(signal.SIGTERM)
        return 0

    monkeypatch.setattr("attnbench.cli.list.main", interrupt)
    assert say(capsys, "list") == (130, "", "attnbench: interrupted\n")


WITHOUT_TORCH = [
    ["--help"],
    ["train", "--help"],
    ["train", "attention=bamm"],
    ["train", "-m", "sed=1,2"],
    ["train", "--cfg", "job"],
    ["list", "paper"],
    ["list", "data"],
    ["reproduce", "--help"],
    ["reproduce", "bam/1bb"],
    ["table", "--help"],
    ["table", "bam/1b", "data=cifar"],
    ["evaluate", "--help"],
    ["evaluate", "0123"],
]


def test_help_lists_and_mistakes_do_not_import_torch() -> None:
    code = (
        "import sys; from attnbench.cli.main import main\n"
        f"for words in {WITHOUT_TORCH}:\n"
        "    main(words); assert 'torch' not in sys.modules, words"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_the_configuration_is_printed_on_request(capsys: Capture) -> None:
    status, out, _ = say(capsys, "train", "--cfg", "job", "attention=bam", "-p", "attention")
    assert status == 0
    assert "reduction: 16" in out
    assert "_keys_" not in out
    assert "recipe:" in say(capsys, "train", "--cfg", "job")[1]
    assert say(capsys, "train", "--cfg", "job", "-p", "recipe.epochs")[1].strip() == "10"


@pytest.mark.parametrize("flags", [("--hydra-help",), ("--info", "searchpath"), ("--cfg", "hydra")])
def test_hydras_own_flags_work(flags: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "attnbench", "train", *flags]  # a process of its own: Hydra sets up logging
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "hydra" in result.stdout.lower()


def complete(capsys: Capture, monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    monkeypatch.setenv("COMP_LINE", line)
    return say(capsys, "-sc", "query=bash")[1].split()


def test_completion_by_the_shell(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert complete(capsys, monkeypatch, "attnbench tr") == ["train"]
    assert complete(capsys, monkeypatch, "attnbench ") == list(VERBS)
    offered = complete(capsys, monkeypatch, "attnbench train attention=")
    assert [name.removeprefix("attention=") for name in offered] == ATTENTIONS
    assert complete(capsys, monkeypatch, "attnbench train logger=") == [
        f"logger={name}" for name in ("aim", "csv", "mlflow", "none", "tensorboard", "wandb")
    ]
    assert "backbone=resnet20" in complete(capsys, monkeypatch, "attnbench cost backbone=resnet2")
    assert "recipe.lr=" in complete(capsys, monkeypatch, "attnbench train recipe.l")


def test_completion_is_installed_by_the_shells_own_code() -> None:
    command = [sys.executable, "-m", "attnbench", "train", "-sc", "install=bash"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "hydra_bash_completion" in printed


@pytest.mark.smoke
def test_lists(capsys: Capture) -> None:
    listed = say(capsys, "list")[1]
    assert listed.startswith(f"attention   {', '.join(ATTENTIONS[:3])}, ")
    assert all(name in listed for name in (*ATTENTIONS, "timm/<name>"))
    assert "ResNet-50" in say(capsys, "list", "backbone")[1]


def listed_data(capsys: Capture, *words: str) -> dict[str, str]:
    """Rows of the list of data sets, and the lines below it, by their first words."""
    lines = [line.split() for line in say(capsys, "list", "data", *words)[1].splitlines()]
    return {words[0]: " ".join(words[1:]) for words in lines if words}


LISTED_RUN = "cluttered_digits-resnext11_4x4d-extra_block-37c95c1234/seed0"


def listed_run(width: int) -> str:
    """The list of one finished run in a terminal of that width."""
    record = make_finished(**{"test/top1_accuracy": 0.9595, "test/best/top1_accuracy": 0.9671})
    run = RunFolder(Path("outputs", "runs", LISTED_RUN))
    run.path.mkdir(parents=True)
    run.write_record(record)
    stream = io.StringIO()
    show_runs(Console(width=width, file=stream), Path("outputs"), Composer())
    return stream.getvalue()


def test_runs_are_listed_whole_in_a_narrow_terminal() -> None:
    told = listed_run(76)
    assert all(part in told for part in ("finished", "4/4", "95.95%", "96.71%"))
    assert "…" not in told
    words = [line.split() for line in told.splitlines()[4:] if line.strip()]
    assert "".join(line[0] for line in words) == LISTED_RUN.rpartition("-")[0]
    assert words[0][1] == LISTED_RUN.rpartition("-")[2]


@pytest.mark.parametrize(
    ("width", "hidden"),
    [
        (75, "best val. epoch"),
        (60, "epochs, best val. epoch"),
        (50, "state, epochs, best val. epoch"),
        (40, "state, epochs, test top-1, best val. epoch"),
    ],
)
def test_columns_that_do_not_fit_are_left_out_and_named(width: int, hidden: str) -> None:
    table, _, note = listed_run(width).partition("not shown in ")
    assert " ".join(note.split()) == f"{width} columns: {hidden}"
    assert LISTED_RUN.rpartition("-")[2] in table
    assert "…" not in table
    shown = {"finished": "state", "4/4": "epochs", "95.95%": "test top-1", "96.71%": "best val. epoch"}
    assert [cell for cell in shown if cell in table] == [cell for cell, name in shown.items() if name not in hidden]


def test_data_is_listed_with_what_it_declares(capsys: Capture) -> None:
    found = listed_data(capsys, "--root", "nowhere")
    names = [name for name, row in found.items() if row.startswith(("no ", "yes ", "bundled "))]
    for name in ("adience", "cifar10", "digits", "flowers102", "food101", "pets", "tiny_imagenet", "uecfood100"):
        assert name in names
    assert found["food101"].startswith("no 75,750 + 25,250 101 224 Food-101: ")
    assert found["digits"].startswith("bundled 1,437 + 360 10 8 ")
    out = " ".join(say(capsys, "list", "data")[1].split())
    assert "Terms: CC BY-SA 4.0" in out
    place = Path.cwd() / "nowhere"
    assert found["food101:"] == f"no food-101 in {place}; set data.root to the folder that holds it (food-101.tar.gz " \
        "from data.vision.ee.ethz.ch)"  # fmt: skip
    assert "digits:" not in found


def test_data_sets_are_described_in_whole_words_in_a_narrow_terminal() -> None:
    console = Console(width=80, file=io.StringIO())
    show_data_sets(console, search_path(), "nowhere", None)
    out = console.file.getvalue()  # type: ignore[attr-defined]
    assert "…" not in out.replace("000000.tar …", "")
    assert "75,750 + 25,250 images, 101 classes, 224 px" in " ".join(out.split())
    assert "– images" not in out


OWN_SET = """
from attnbench.data.sets.digits import Digits

class Own(Digits):
    counts = ()
    terms = ""
"""


def test_the_users_own_data_is_listed(own_folder: Path, capsys: Capture) -> None:
    (own_folder / "own_set.py").write_text(OWN_SET)
    (own_folder / "mine" / "data").mkdir(parents=True)
    lines = ["# My digits", "defaults: [family/resident@_here_]", "_target_: own_set.Own"]
    (own_folder / "mine" / "data" / "my-digits.yaml").write_text("\n".join(lines))
    assert listed_data(capsys, "--config-dir", "mine")["my-digits"] == "bundled 1,437 10 8 My digits"


def test_data_is_listed_in_the_folder_that_is_named(own_folder: Path, capsys: Capture) -> None:
    write_food101(own_folder / "sets")
    found = listed_data(capsys, "--root", "sets")
    assert found["food101"].startswith("yes 9 + 6 3 ")  # a part of the set has its own counts
    assert "food101:" not in found
    (own_folder / "sets" / "food-101" / "meta" / "test.txt").write_text("pho/1\n")
    found = listed_data(capsys, "--root", "sets")
    assert found["food101"].startswith("no 75,750 + 25,250 – ")
    assert found["food101:"] == f"{own_folder}/sets/food-101: lacks images that label files list: images/pho/1.jpg"
    (own_folder / "sets" / "food-101" / "meta" / "test.txt").unlink()
    found = listed_data(capsys, "--root", "sets")
    assert found["food101"].startswith("no 75,750")
    assert found["food101:"].startswith(f"no meta/test.txt in {own_folder}/sets/food-101; unpack the rest of the set")


def test_costs_are_those_of_the_paper(capsys: Capture) -> None:
    words = ("cost", "backbone=resnet50", "attention=bam", "attention.variant=official", "data=cifar100")
    out = say(capsys, *words)[1]
    assert "24,063,319" in out
    assert "stem=auto: cifar for images of 32 pixels" in out
    found = json.loads(say(capsys, *words, "--json")[1])
    assert found["parameters"] == 24_063_319
    assert found["attention_parameters"] == 358_067
    assert found["multiply_adds"] == 1_324_953_600


@pytest.mark.smoke
def test_costs_are_compared(capsys: Capture) -> None:
    out = say(capsys, "cost", "-m", "attention=none,bam", "attention.reduction=8,16")[1]
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("none", "bam"))]
    assert [row[0] for row in rows] == ["none", "bam", "bam"]
    assert rows[0][1] == "269,434"


def test_a_measured_network_stands_beside_the_one_without_attention(capsys: Capture) -> None:
    small = ("backbone.depth=8", "backbone.width=4", "attention=se", "attention.reduction=2", "trainer.threads=1")
    words = ("cost", *small, "--measure", "--batch", "2", "--turns", "2")
    status, out, _ = say(capsys, *words)
    rows = [line.split()[:2] for line in out.splitlines() if line.strip().startswith(("none ", "se "))]
    assert (status, rows[2:]) == (0, [["none", "2"], ["se", "2"]])
    plain, own = (row["measured"] for row in json.loads(say(capsys, *words, "--json")[1]))
    assert plain["of_plain"] == [1, 1]
    seconds = zip(own["training_seconds"], plain["training_seconds"], strict=True)
    assert own["of_plain"] == [with_attention / without for with_attention, without in seconds]


@pytest.mark.parametrize(
    ("words", "attentions"),
    [
        (("attention=bam", "attention.reduction=4"), ["none", "bam"]),
        (("experiment=bam_resnet50_cifar100",), ["none", "bam"]),
        (("experiment=attention56_cifar10", "attention.modules=2"), ["none", "residual"]),
        (("experiment=resnet20_cifar10",), ["none"]),
        (("-m", "attention=se,cbam"), ["none", "se", "cbam"]),
        (("-m", "attention=se,none,cbam"), ["se", "none", "cbam"]),
        (("-m", "attention=se", "backbone=resnet20,resnet32"), ["none", "se", "none", "se"]),
        (("attention=bam", "--layers"), ["bam"]),
    ],
)
def test_what_is_measured_has_the_network_without_attention_beside_it(
    words: tuple[str, ...], attentions: list[str]
) -> None:
    configs = configurations(parse(["--measure", *words]))
    assert [config.choices["attention"] for config in configs] == attentions
    for config in configs:
        if config.choices["attention"] == "none":
            assert config.values["attention"] == compose(["attention=none"]).values["attention"]
            assert config.identity["attention"] == "none"
    assert len({json.dumps(config.identity) for config in configs}) == len(configs)


def test_the_network_beside_an_experiment_is_that_of_the_experiment() -> None:
    plain, bam = configurations(parse(["--measure", "experiment=bam_resnet50_cifar100", "recipe.lr=0.05"]))
    assert plain == compose(["experiment=bam_resnet50_cifar100", "recipe.lr=0.05", "attention=none"])
    assert bam == compose(["experiment=bam_resnet50_cifar100", "recipe.lr=0.05"])


def test_costs_of_a_sweep_are_a_list(capsys: Capture) -> None:
    (only,) = json.loads(say(capsys, "cost", "-m", "attention=bam", "--json")[1])
    assert only["attention"] == "bam"


def test_costs_at_other_sizes_and_of_layers(capsys: Capture) -> None:
    out = say(capsys, "cost", "attention=bam", "--pixels", "24,48")[1]
    assert [line.split()[0] for line in out.splitlines() if line.strip()[:2] in ("24", "48")] == ["24", "48"]
    assert "*backbone.stage1.out.bam.channel.reduce" in say(capsys, "cost", "attention=bam", "--layers")[1]


def test_scripts_are_the_same_function() -> None:
    script = Path(attnbench.__file__).parent.parent / "scripts" / "train.py"
    command = [sys.executable, os.fspath(script), "--cfg", "job", "-p", "attention", "attention=bam"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "reduction: 16" in printed


def test_python_m_attnbench() -> None:
    command = [sys.executable, "-m", "attnbench", "trian"]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)


def test_output_that_nobody_reads_is_no_error() -> None:
    command = f"{sys.executable} -m attnbench list backbone | head -n 1"
    result = subprocess.run(["bash", "-o", "pipefail", "-c", command], check=False, capture_output=True, text=True)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("name", ["by\udcffte", "new\nline"])
def test_a_folder_whose_name_is_no_text_is_rejected_before_anything_is_written(
    name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(name).mkdir()
    monkeypatch.chdir(name)
    status, _, err = say(capsys, "train", "data=digits")
    assert (status, err.count("\n")) == (2, 1)
    assert "has characters that are no text; name another folder" in err
    assert not list(Path().iterdir())
