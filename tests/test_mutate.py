"""The mutation tester changes one place at a time of what is computed, and tells survivors from mutants that died."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import mutate  # noqa: E402


def mutants(source: str) -> list[str]:
    """Return the source of every mutant."""
    counter = mutate.Mutator()
    counter.visit(ast.parse(source))
    trees = [mutate.Mutator(number).visit(ast.parse(source)) for number in range(counter.count)]
    return [ast.unparse(ast.fix_missing_locations(tree)) for tree in trees]


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a < b", ["x = a <= b"]),
        ("x = a == b", ["x = a != b"]),
        ("x = a is None or b", ["x = a is None and b", "x = a is not None or b"]),
        ("x = a + 1", ["x = a - 1", "x = a + 2"]),
        ("x = not a", ["x = a"]),
        ("x = -a", ["x = a"]),
        ("x = True", ["x = False"]),
        ("x += a", ["x -= a"]),
        ("save(a)", ["pass"]),
        ("x = zip(a, b, strict=True)", []),
        ("if a:\n    b = c", ["if not a:\n    b = c"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("x: Literal[1] = a", []),
        ("def f(a: list[1]) -> tuple[2]:\n    'It has 3.'", []),
    ],
)
def test_each_mutant_has_one_change(source: str, changed: list[str]) -> None:
    assert mutants(source) == changed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "result"),
    [
        ("assert double(2) == 4", "killed"),
        ("assert double(0) == 0", "survived"),
        ("while double(2) != 4: pass", "timeout"),
    ],
)
def test_a_mutant_that_no_test_notices_survives(
    test: str, result: str, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutate, "CPU_SECONDS", 2)  # of the forked process, which imports nothing
    source = "def double(x):\n    return x * 2\n"
    (own_folder / "doubling.py").write_text(source)
    (own_folder / "test_doubling.py").write_text(f"from doubling import double\n\ndef test_it():\n    {test}\n")
    tree = ast.parse(source)
    mutate.Mutator(1).visit(tree)  # x * 2 becomes x / 2
    sys.path.insert(0, str(own_folder))
    assert mutate.outcome("doubling", own_folder / "doubling.py", tree, [str(own_folder)]) == result
