"""What an attention's file declares under `_off_`: with these values there is no attention, whatever else is set."""

from functools import cache
from typing import Any

import pytest
import torch

from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config import search_path
from attnbench.config.compose import Composer, compose
from attnbench.config.overrides import parse
from attnbench.config.schema import declarations, flatten
from attnbench.config.switched_off import switched_off
from attnbench.errors import UserError

COMPOSER = Composer()
DECLARED = {
    choice: off
    for choice in search_path.choices("attention", search_path.search_path())
    if (off := switched_off(COMPOSER, choice))
}
IMAGES = torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def build(choice: str, options: dict[str, Any]) -> Classifier:
    """Build the attention with options, from the same random state whatever they are."""
    words = [f"attention.{key}={value}" for key, value in options.items()]
    config = compose([f"attention={choice}", "backbone=resnet20", "backbone.depth=8", "data=digits", *words])
    torch.manual_seed(0)
    return build_model(config).eval()


@cache
def other_values(choice: str) -> dict[str, list[Any]]:
    """Return, of each option of an attention, values other than its default."""
    tree, _ = COMPOSER.chosen(parse([f"attention={choice}"], COMPOSER.folders))
    accepts = {key: declared.accepts for key, declared in declarations(tree["attention"]).items()}
    options = flatten(compose([f"attention={choice}"])["attention"])
    return {key: _others(value, accepts.get(key, ())) for key, value in options.items() if not key.startswith("_")}


def _others(value: Any, accepts: tuple[str, ...]) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    return [7 if word == "int" else word for word in accepts if word not in (value, "auto", "float")]


def test_ggam_declares_how_it_is_switched_off() -> None:
    assert DECLARED["ggam"].values == {"channel": False, "spatial": False, "lambda": 0}
    assert DECLARED["ggam"].describe() == "channel=false, spatial=false, lambda=0"
    assert "bam" not in DECLARED


@pytest.mark.parametrize("choice", DECLARED)
def test_an_attention_that_is_off_has_no_maps_and_adds_no_loss(choice: str) -> None:
    net, on = build(choice, dict(DECLARED[choice].values)), build(choice, {})
    output = net.output(IMAGES)
    assert net.maps(output) == {} != on.maps(on.output(IMAGES))
    assert list(net.losses(output, torch.arange(4))) == ["cross_entropy"]
    assert net.attention.diagnostics(output, torch.arange(4)) == {}


@pytest.mark.parametrize("choice", DECLARED)
def test_only_the_options_that_must_be_the_same_have_an_effect_then(choice: str) -> None:
    off = DECLARED[choice]
    expected = build(choice, dict(off.values))(IMAGES)
    changing = set()
    for key, values in other_values(choice).items():
        for value in values if key not in off.values else []:
            try:
                logits = build(choice, {**off.values, key: value})(IMAGES)
            except UserError:  # contradicts what is off
                continue
            changing |= set() if torch.equal(logits, expected) else {key}
    assert changing == set(off.same)
