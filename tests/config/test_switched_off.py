"""What an attention's file declares under `_off_`, and mistakes in it."""

from pathlib import Path

import pytest

from attnbench.config.compose import Composer, compose
from attnbench.config.switched_off import switched_off
from attnbench.errors import UserError

GATES = "# Gates\n_target_: attnbench.attention.base.Attention\nweight: 2.0\nkind: soft\n_off_: "


def composer_with(declaration: str) -> Composer:
    Path("mine/attention").mkdir(parents=True)
    Path("mine/attention/gates.yaml").write_text(f"{GATES}{declaration}\n")
    return Composer("mine")


def test_a_declaration_is_read_and_is_no_part_of_the_configuration() -> None:
    composer = composer_with("{name: plain gates, values: {weight: 0}, same: [kind]}")
    off = switched_off(composer, "gates")
    assert off is not None
    assert (off.name, off.same, off.describe()) == ("plain gates", ("kind",), "weight=0")
    assert off.matches({"weight": 0.0, "kind": "hard"}) and not off.matches({"weight": 2.0})
    assert off.agree({"kind": "hard", "weight": 0}, {"kind": "hard", "weight": 2})
    config = composer.compose(["attention=gates"])
    assert set(config["attention"]) == {"_target_", "weight", "kind"}
    assert not any("_off_" in key for key in config.identity)


def test_all_other_options_must_be_the_same_where_none_are_named() -> None:
    off = switched_off(composer_with("{values: {weight: 0}}"), "gates")
    assert off is not None
    assert (off.name, off.same) == ("itself switched off", ("kind",))


def test_an_attention_need_not_declare_it() -> None:
    assert switched_off(Composer(), "bam") is None


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("{values: {wieght: 0}}", "_off_ of attention=gates: wieght: not one of weight, kind; did you mean weight?"),
        ("{values: {weight: 0}, same: [knd]}", "knd: not one of weight, kind; did you mean kind?"),
        ("{weight: 0}", "_off_ of attention=gates: must be a mapping with values of options"),
        ("{values: {weight: 0}, sam: [kind]}", "sam: not one of name, values, same; did you mean same?"),
        ("false", "must be a mapping with values of options"),
    ],
)
def test_mistakes_are_one_line(declaration: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        switched_off(composer_with(declaration), "gates")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_it_cannot_be_set_on_the_command_line() -> None:
    with pytest.raises(UserError, match="no such key"):
        compose(["attention=ggam", "attention._off_.name=x"])
