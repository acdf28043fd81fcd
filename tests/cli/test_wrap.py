"""Help texts in narrow terminals."""

import pytest

from attnbench.cli import help as texts
from attnbench.cli.wrap import fit

TEXT = """\
attnbench cost [OVERRIDE ...]   count parameters and multiply-adds of a network, without training it

Overrides are those of attnbench train, which explains them all. Of the data set only its size
is used.

Flags:
  --json       print JSON, which other programs can read
               and people as well
  attnbench cost backbone=resnet50 attention=bam data=cifar100 data.root=DIR
"""


def test_explanations_are_wrapped_below_their_own_column() -> None:
    assert (
        fit(TEXT, 50)
        == """\
attnbench cost [OVERRIDE ...]   count parameters
    and multiply-adds of a network, without
    training it

Overrides are those of attnbench train, which
explains them all. Of the data set only its size
is used.

Flags:
  --json       print JSON, which other programs
               can read and people as well
  attnbench cost backbone=resnet50 attention=bam data=cifar100 data.root=DIR"""
    )


def test_texts_stay_as_they_are_where_they_fit() -> None:
    assert fit(TEXT, 120) == TEXT


@pytest.mark.parametrize("text", [texts.TRAIN, texts.COST, texts.REPRODUCE, texts.TABLE, texts.EVALUATE, texts.LIST])
def test_only_example_commands_are_longer_than_a_narrow_terminal(text: str) -> None:
    wrapped = fit(text, 80)
    assert all(len(line) <= 80 or line.startswith("  attnbench ") for line in wrapped.splitlines())
    assert wrapped.split() == text.split()
