"""Change one place of a module at a time and see whether its tests notice: mutation testing, without a dependency.

    python scripts/mutate.py attnbench/runs/lock.py tests/runs/test_lock.py
    python scripts/mutate.py attnbench/attention/bam.py tests/attention/bam --count 40
    python scripts/mutate.py attnbench/attention/bam.py tests/attention/bam --only 7 31

Each mutant is tested in a process forked from one that has imported the libraries. A survivor is a change that no
test noticed: a test is missing, or the change makes no difference (as in a tolerance, or a cache). Tests that start
processes of their own do not see the mutant there. Survivors are printed with their numbers, by which `--only` tries
them again once there is a test. Exit status 1 if a mutant survived.
"""

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
LIBRARIES = ("hypothesis", "pytest", "torch", "torch._dynamo", "torchvision", "pytorch_lightning", "torchmetrics",
             "scipy.stats", "statsmodels.api", "sklearn.datasets", "hydra", "rich.console", "timm")  # fmt: skip
CPU_SECONDS = 120
"""A mutant whose tests compute for longer, as in an endless loop, is noticed."""
WALL_SECONDS = 1200.0
"""The same of one whose tests wait for ever; much longer, since a busy machine may take its time."""
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
NOT_CODE = ("annotation", "returns", "decorator_list", "bases")
"""Fields of the syntax tree that are not computed with."""


class Mutator(ast.NodeTransformer):
    """Changes the place with a given number, or none, and counts the places."""

    def __init__(self, chosen: int = -1) -> None:
        self.chosen, self.count, self.change = chosen, 0, ""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Visit what is computed with: no annotations, no docstrings."""
        left_out = {name: getattr(node, name) for name in NOT_CODE if hasattr(node, name)}
        for name, value in left_out.items():
            setattr(node, name, [] if isinstance(value, list) else None)
        super().generic_visit(node)
        for name, value in left_out.items():
            setattr(node, name, value)
        return node

    def visit(self, node: ast.AST) -> ast.AST:
        """Change the node if it is its turn. `strict=True` of `zip`, which right code never needs, stays."""
        if isinstance(node, ast.keyword) and node.arg == "strict":
            return node
        before = copy.deepcopy(node)
        for changed in _mutants(node):
            if self.count == self.chosen:
                self.change = f"{_line(node)}: {_short(before)}  ->  {_short(changed)}"
                self.count += 1
                return ast.copy_location(changed, node)
            self.count += 1
        return self.generic_visit(node)


def _mutants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the changed versions of a node itself, not of what it holds."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[number] = SWAPS[type(operator)]()  # type: ignore[call-overload]
            yield changed
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS:
        changed_operation = copy.deepcopy(node)
        changed_operation.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
        yield changed_operation
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        negated = copy.deepcopy(node)
        negated.test = ast.UnaryOp(ast.Not(), node.test)
        yield negated
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _line(node: ast.AST) -> int:
    return int(getattr(node, "lineno", 0))


def _short(node: ast.AST) -> str:
    if isinstance(node, ast.operator | ast.boolop | ast.cmpop):
        return type(node).__name__
    return ast.unparse(ast.fix_missing_locations(node)).partition("\n")[0][:90]


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the changed syntax tree in place of the module's file."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path = name, path
        self.code = compile(ast.fix_missing_locations(tree), path, "exec")

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find the module, and no other."""
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed module."""
        exec(self.code, vars(module))


def outcome(name: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> str:
    """Run the tests on a mutant in a forked process; return `killed`, `survived` or `timeout`."""
    child = os.fork()
    if child == 0:
        _test(name, path, tree, tests)
    deadline = time.monotonic() + WALL_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {0: "survived", -signal.SIGXCPU: "timeout"}.get(os.waitstatus_to_exitcode(status), "killed")
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "timeout"
        time.sleep(0.02)


def _test(name: str, path: Path, tree: ast.Module, tests: Sequence[str]) -> None:
    status = 1
    try:
        import hypothesis
        import pytest

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, resource.RLIM_INFINITY))
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        sys.meta_path.insert(0, MutantFinder(name, path, tree))
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # a first failure is enough: it is not shrunk
        hypothesis.settings.register_profile("mutant", deadline=None, database=None, phases=phases)
        options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "-m", "not slow"]
        status = int(pytest.main([*options, "--hypothesis-profile=mutant", *tests]))
    finally:
        os._exit(status)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("module", type=Path, help="the file to change")
    parser.add_argument("tests", nargs="+", help="arguments of pytest")
    parser.add_argument("--count", type=int, default=10_000, help="how many mutants are drawn, at most")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of mutants, in place of a draw")
    return parser.parse_args()


def main() -> int:
    """Test the mutants, print the survivors and the numbers, and return the exit status."""
    arguments = parse()
    os.chdir(ROOT)
    for library in LIBRARIES:
        importlib.import_module(library)
    name, source = ".".join(arguments.module.with_suffix("").parts), arguments.module.read_text(encoding="utf-8")
    mutator = Mutator()
    mutator.visit(ast.parse(source))
    drawn = random.Random(arguments.seed).sample(range(mutator.count), min(arguments.count, mutator.count))
    numbers = {"killed": 0, "survived": 0, "timeout": 0}
    if (unchanged := outcome(name, arguments.module, ast.parse(source), arguments.tests)) != "survived":
        trouble = f"compute for over {CPU_SECONDS} s" if unchanged == "timeout" else "fail"
        print(f"{arguments.module}: the tests {trouble} without a change")
        return 2
    for number in arguments.only or sorted(drawn):
        mutator = Mutator(number)
        tree = mutator.visit(ast.parse(source))
        assert isinstance(tree, ast.Module)
        result = outcome(name, arguments.module, tree, arguments.tests)
        numbers[result] += 1
        if result == "survived":
            print(f"  {number}: {arguments.module}:{mutator.change}", flush=True)
    words = ", ".join(f"{count} {result}" for result, count in numbers.items())
    print(f"{arguments.module}: {words} (of {mutator.count} possible changes)", flush=True)
    return 1 if numbers["survived"] else 0


if __name__ == "__main__":
    sys.exit(main())
