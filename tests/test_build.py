"""Networks are built from configurations; what cannot be built is one line."""

import pytest

from attnbench.build import build_model_on_meta
from attnbench.config.compose import compose
from attnbench.errors import UserError


@pytest.mark.parametrize("width", [10**17, 2**62])
def test_a_network_with_more_weights_than_any_memory_holds_is_one_line(width: int) -> None:
    with pytest.raises(UserError) as caught:
        build_model_on_meta(compose(["data=digits", f"backbone.width={width}"]))
    assert str(caught.value) == "backbone=resnet20: more weights than any memory holds"
