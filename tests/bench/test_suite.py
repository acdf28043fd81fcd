"""The suite that measures attnbench's own speed: what became slower, what is written, and that each part runs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from attnbench.bench.comparison import Comparison
from attnbench.bench.suite import drops, read, result
from attnbench.cli.main import main
from attnbench.errors import UserError
from attnbench.training.speed_probe import alternate

Capture = pytest.CaptureFixture[str]


def result_of(**ratios: Sequence[float]) -> dict[str, Any]:
    """A result as it is read again from its file, with these ratios by case."""
    found = {name: Comparison("timm", [1.0] * len(values), list(values)) for name, values in ratios.items()}
    text = json.dumps(result(found))
    Path("result.json").write_text(text)
    return read(Path("result.json"))


def test_a_ratio_is_taken_within_a_turn() -> None:
    values = iter([9.0, 9.0, 1.0, 2.0, 10.0, 5.0])
    seconds = alternate([lambda: next(values), lambda: next(values)], turns=2)
    assert Comparison("other", *seconds).ratios == [2.0, 0.5]


def test_a_drop_beyond_the_spread_is_named() -> None:
    before = result_of(se=[1.0, 1.1, 1.2, 1.3], eca=[1.0, 1.1, 1.2, 1.3], gone=[1, 1, 1])
    after = result_of(se=[0.7, 0.75, 0.8, 0.85], eca=[0.9, 1.0, 1.1, 1.2], new=[0.1, 0.1, 0.1])
    assert drops(before, after) == ["se: 0.78 (0.71–0.84) times as fast as timm, and was 1.15 (1.02–1.28)"]
    assert drops(after, before) == []
    assert after["environment"]["packages"]["torch"]
    assert after["machine"]["device"]


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
        (("module",), "module: no such part; did you mean modules? (parts: loop, folder, modules, loading)"),
        (("--turns", "2"), "--turns 2: a spread needs at least 3"),
        (("--against", "none.json"), "--against none.json: there is no such file"),
    ],
)
def test_wrong_input_is_one_line(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["bench", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "case"),
    [
        ("modules", "modules/se"),
        ("loop", "loop/usual loop"),
        ("folder", "folder/timm"),
        ("loading", "loading/ram/torchvision"),
    ],
)
def test_each_part_is_measured_and_compared(
    part: str, case: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attnbench.bench.suite.LOOP_IMAGES", 256)
    monkeypatch.setattr("attnbench.bench.suite.FILES", 16)
    assert main(["bench", part, "--turns", "3", "--to", "a.json"]) == 0
    assert case in capsys.readouterr().out
    content = json.loads(Path("a.json").read_text())
    assert len(content["cases"][case]["seconds"]) == 3
    content["cases"][case]["reference_seconds"] = [1e6, 1e6, 1e6]
    Path("b.json").write_text(json.dumps(content))
    assert main(["bench", part, "--turns", "3", "--to", "c.json", "--against", "b.json"]) == 1
    assert f"slower: {case}: " in capsys.readouterr().out
