"""Differences of outputs, by hand."""

import math

import pytest
import torch

from attnbench.export.agreement import largest_difference


def test_the_largest_of_all_outputs_counts() -> None:
    expected = {"a": torch.tensor([0.5, -0.25]), "b": torch.tensor([[0.0]])}
    found = {"a": torch.tensor([0.5, -0.125]), "b": torch.tensor([[0.25]])}
    assert largest_difference(found, expected) == 0.25


def test_large_values_differ_by_a_part_of_the_largest() -> None:
    found, expected = {"a": torch.tensor([8.0, 1.0])}, {"a": torch.tensor([8.0, 2.0])}
    assert largest_difference(found, expected) == 1 / 8


@pytest.mark.parametrize(
    "found",
    [{"b": torch.zeros(2)}, {"a": torch.zeros(1)}, {"a": torch.tensor([0.0, math.nan])}],
    ids=["name", "shape", "not a number"],
)
def test_what_cannot_be_compared_differs_without_limit(found: dict[str, torch.Tensor]) -> None:
    assert largest_difference(found, {"a": torch.zeros(2)}) == math.inf
