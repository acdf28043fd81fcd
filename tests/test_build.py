"""Networks are built from configurations; what cannot be built is one line."""

import pytest

from attnbench.build import build_model_on_meta, stem_note
from attnbench.config.compose import compose
from attnbench.errors import UserError


@pytest.mark.parametrize("width", [10**17, 2**62])
def test_a_network_with_more_weights_than_any_memory_holds_is_one_line(width: int) -> None:
    with pytest.raises(UserError) as caught:
        build_model_on_meta(compose(["data=digits", f"backbone.width={width}"]))
    assert str(caught.value) == "backbone=resnet20: more weights than any memory holds"


def test_an_automatic_stem_is_named() -> None:
    assert stem_note(compose(), 64).startswith("stem=auto: cifar for images of 64 pixels")
    assert stem_note(compose(), 128).startswith("stem=auto: imagenet for images of 128 pixels")
    assert stem_note(compose(["backbone.stem=cifar"]), 64) == ""
    assert stem_note(compose(["backbone=vgg16"]), 64) == ""
