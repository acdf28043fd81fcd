"""The suite that measures attnbench's own speed: what became slower, what is written, and that each part runs."""

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from attnbench.bench import suite
from attnbench.bench.attention import methods, step_seconds
from attnbench.bench.comparison import Comparison
from attnbench.bench.host import RECIPES, host_seconds
from attnbench.bench.loading import contestants
from attnbench.bench.loops import run_epoch
from attnbench.bench.suite import drops, make_images, read, result
from attnbench.cli.bench import PARTS, available, compare
from attnbench.cli.main import main
from attnbench.config.schema import flatten
from attnbench.errors import UserError
from attnbench.runs.folder import find_runs
from attnbench.training.speed_probe import alternate

Capture = pytest.CaptureFixture[str]


NET = ["backbone=resnet20", "data=cifar10"]
MACHINE = {"device": "a CPU", "threads": 2}


def result_of(machine: Mapping[str, Any] = MACHINE, files: int = 512, **ratios: Sequence[float]) -> dict[str, Any]:
    """A result as it is read again from its file, with these ratios by case of the part `modules`."""
    cases = {
        f"modules/{name}": Comparison("timm", [1.0] * len(values), list(values)) for name, values in ratios.items()
    }
    text = json.dumps(result(cases, machine, files))
    Path("result.json").write_text(text)
    return read(Path("result.json"))


def test_a_ratio_is_taken_within_a_turn() -> None:
    values = iter([9.0, 9.0, 1.0, 2.0, 10.0, 5.0])
    seconds = alternate([lambda: next(values), lambda: next(values)], turns=2)
    assert Comparison("other", *seconds).ratios == [2.0, 0.5]


def test_what_is_added_to_a_step_is_the_difference_within_a_turn() -> None:
    assert Comparison("other", [0.2, 0.4], [0.1, 0.1], steps=100).added_milliseconds == pytest.approx([1.0, 3.0])


def test_a_drop_beyond_the_spread_is_named_and_so_is_a_case_that_is_gone(capsys: Capture) -> None:
    before = result_of(se=[1.0, 1.1, 1.2, 1.3], eca=[1.0, 1.1, 1.2, 1.3], gone=[1, 1, 1])
    after = result_of(se=[0.7, 0.75, 0.8, 0.85], eca=[0.9, 1.0, 1.1, 1.2], new=[0.1, 0.1, 0.1])
    line = "modules/se: 0.78 (0.71–0.84) times as fast as timm, and was 1.15 (1.02–1.28)"
    assert drops(before, after) == [line]
    assert drops(after, before) == []
    assert after["environment"]["packages"]["torch"]
    assert compare(before, after, ["modules"]) == 1
    assert capsys.readouterr().out == f"not measured any more: modules/gone\nslower: {line}\n"
    assert compare(after, before, ["loop"]) == 0  # the part was not asked for
    assert capsys.readouterr().out == "nothing became slower beyond the spread\n"


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"machine": MACHINE | {"threads": 1}}, "is of another machine: device a CPU, threads 1"),
        ({"files": 96}, "is of another number of files: 96"),
    ],
)
def test_a_result_under_other_conditions_names_no_drop(
    conditions: dict[str, Any], reason: str, capsys: Capture
) -> None:
    before, after = result_of(**conditions, se=[2.0, 2.0, 2.0]), result_of(se=[1.0, 1.0, 1.0])
    assert compare(before, after, ["modules"]) == 0
    assert capsys.readouterr().out == f"the earlier result {reason}; nothing counts as a drop\n"


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 7}'])
def test_a_file_that_is_no_result_is_rejected(text: str, capsys: Capture) -> None:
    Path("other.json").write_text(text)
    with pytest.raises(UserError, match=r"other\.json"):
        read(Path("other.json"))
    assert main(["bench", "modules", "--against", "other.json"]) == 2
    assert "other.json: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("module",),
            "module: no such part; did you mean modules? (parts: loop, host, folder, modules, attention, loading)",
        ),
        (("--turns", "2"), "--turns 2: a spread needs at least 3"),
        (("--files", "63"), "--files 63: must be at least 64, which are two batches"),
        (("--against", "none.json"), "--against none.json: there is no such file"),
    ],
)
def test_wrong_input_is_one_line(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


def test_what_is_not_installed_is_left_out_in_one_line(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(available([])) == list(PARTS)
    assert capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "timm", None)  # as where it is not installed
    assert not {"folder", "modules"} & set(available([]))
    assert capsys.readouterr().out == "timm is not installed: left out: folder, modules\n"
    assert main(["bench", "loop", "modules"]) == 2
    assert "modules: needs the package timm: pip install 'attnbench[timm]'" in capsys.readouterr().err


def test_every_part_that_can_be_named_is_there() -> None:
    assert list(suite.PARTS) == list(PARTS)


@pytest.mark.parametrize("recipe", RECIPES)
def test_host_overhead_is_measured_with_each_recipe(recipe: str, tmp_path: Path) -> None:
    ours, theirs = host_seconds(RECIPES[recipe], 4, 3, tmp_path)
    assert len(ours) == len(theirs) == 3
    record = next(run.record() for run in find_runs(tmp_path))
    assert record is not None
    recorded = flatten(record.config)
    for word in RECIPES[recipe]:
        key, _, value = word.partition("=")
        assert str(recorded[key]) == value


def test_the_plain_loop_accumulates_as_a_batch_of_all_images() -> None:
    first, second = nn.Linear(3, 10), nn.Linear(3, 10)
    second.load_state_dict(first.state_dict())
    batches = [(torch.randn(4, 3), torch.randint(10, (4,))) for _ in range(4)]
    joined = [
        (torch.cat([a, c]), torch.cat([b, d])) for (a, b), (c, d) in zip(batches[::2], batches[1::2], strict=True)
    ]
    run_epoch(first, torch.optim.SGD(first.parameters(), 0.1), batches, nullcontext, accumulate=2)
    run_epoch(second, torch.optim.SGD(second.parameters(), 0.1), joined, nullcontext)
    torch.testing.assert_close(first.weight, second.weight)


def test_attention_is_measured_for_every_method_that_needs_nothing_else() -> None:
    assert {"se", "bam", "gated", "ggam", "residual"} < set(methods())
    assert not {"none", "timm"} & set(methods())
    seconds, _ = step_seconds({name: [*NET, f"attention={name}"] for name in ("none", "se")}, 2, 1, 3)
    assert {name: len(values) for name, values in seconds.items()} == {"none": 3, "se": 3}


def test_the_loader_is_compared_with_webdataset_where_it_is_installed(
    own_folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTNBENCH_CACHE", "")  # so that it is put back
    first, second = own_folder / "first", own_folder / "second"
    for folder in (first, second):
        folder.mkdir()
    make_images(own_folder / "images", 8)
    common = (own_folder / "images", 0, 4, torch.device("cpu"))
    turns = contestants(*common, first)
    assert turns["webdataset"]() > 0
    assert [path.name for path in (first / "shards").iterdir()] == ["0.tar"]
    monkeypatch.setitem(sys.modules, "webdataset", None)
    assert set(turns) - set(contestants(*common, second)) == {"webdataset"}
    assert capsys.readouterr().out == "webdataset is not installed: left out\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "cases"),
    [
        ("modules", ["modules/se"]),
        ("loop", ["loop/usual loop"]),
        ("host", ["host/every option"]),
        ("attention", ["attention/se"]),
        ("folder", ["folder/timm"]),
        ("loading", ["loading/ram/torchvision", "loading/cold/webdataset"]),
    ],
)
def test_each_part_is_measured_and_compared(
    part: str, cases: list[str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnbench.bench.suite.LOOP_IMAGES", 256)
    monkeypatch.setattr("attnbench.bench.suite.HOST_STEPS", 20)
    monkeypatch.setattr("attnbench.bench.suite.ATTENTION_BATCH", 2)
    size = ["--turns", "3", "--files", "64"]
    assert main(["bench", part, *size, "--to", "a.json"]) == 0
    out = capsys.readouterr().out
    content = json.loads(Path("a.json").read_text())
    for case in cases:
        assert case in out
        assert len(content["cases"][case]["seconds"]) == 3
        content["cases"][case]["reference_seconds"] = [1e6, 1e6, 1e6]
    Path("b.json").write_text(json.dumps(content))
    assert main(["bench", part, *size, "--to", "c.json", "--against", "b.json"]) == 1
    out = capsys.readouterr().out
    assert all(f"slower: {case}: " in out for case in cases)
