"""Objects from configs: what a user's config may get wrong."""

import pytest

from attnbench.attention.base import Attention
from attnbench.construct import construct, construct_as
from attnbench.errors import UserError


def test_a_config_without_a_class_is_rejected() -> None:
    with pytest.raises(UserError, match=r"attention: its config names no class; add _target_: module\.Class"):
        construct("attention", {"weight": 2})


def test_a_class_of_another_kind_is_rejected() -> None:
    with pytest.raises(UserError, match=r"must be a class that derives from attnbench\.attention\.base\.Attention"):
        construct_as(Attention, "attention", {"_target_": "fractions.Fraction"})


def test_an_object_of_the_right_kind_is_returned() -> None:
    attention = construct_as(Attention, "attention", {"_target_": "attnbench.attention.bam.BAM", "reduction": 8})
    assert type(attention).__name__ == "BAM"
