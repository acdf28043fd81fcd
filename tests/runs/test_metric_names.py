"""Metric names are written in one file; a typing error elsewhere would read nothing, without a word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attnbench
from attnbench.runs import metric_names
from attnbench.runs.metric_names import metric_name

PACKAGE = Path(attnbench.__file__).parent
NAME = re.compile(r"(train|val|test|recorded)/(best/)?(top1_accuracy|top5_accuracy|loss.*|seconds|response/)?|gates/")
BARE = re.compile(r"top[15]_accuracy")
FOLDERS = ("cli", "reproduce", "explain", "detection", "launch", "training", "tables", "runs")
"""Rooms that know records; below them `train/` is a folder of images."""


def literals(path: Path) -> Iterator[tuple[int, str]]:
    """The texts in a file, parts of f-strings included, docstrings left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            yield node.lineno, node.value


def test_no_other_module_spells_a_metrics_name() -> None:
    spelled = [
        f"{path.relative_to(PACKAGE)}:{line}: {text}"
        for folder in FOLDERS
        for path in sorted((PACKAGE / folder).rglob("*.py"))
        if path.name != "metric_names.py"
        for line, text in literals(path)
        if NAME.fullmatch(text) or (BARE.fullmatch(text) and folder != "tables")  # whose metrics are named in YAML
    ]
    assert spelled == []


def test_names_are_those_that_users_read() -> None:
    assert metric_name("test", "top1_accuracy", best=True) == "test/best/top1_accuracy" == metric_names.BEST_TEST_TOP1
    assert metric_names.MONITOR == "val/top1_accuracy"  # configs/callbacks/early_stopping.yaml names it
    assert (metric_names.TEST_TOP1, metric_names.RECORDED_TOP1) == ("test/top1_accuracy", "recorded/top1_accuracy")
