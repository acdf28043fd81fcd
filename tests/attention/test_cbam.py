"""CBAM against its equations and timm."""

import pytest
import torch
import torch.nn.functional as F

from attnbench.attention.cbam import CBAM, CBAMModule
from attnbench.backbones.resnet import ResNet
from attnbench.classifier import Classifier
from attnbench.cost import count_parameters
from attnbench.errors import OptionError
from tests.attention.timm_parity import assert_same_as_timm, make_timm


def test_equations_1_to_3() -> None:
    module, x = CBAMModule(8, reduction=2).double().eval(), torch.randn(2, 8, 9, 7, dtype=torch.float64)
    state = module.state_dict()
    w0, w1 = (state[f"channel.{name}.weight"][:, :, 0, 0] for name in ("fc1", "fc2"))
    pooled = [x.flatten(2).mean(-1), x.flatten(2).max(-1).values]
    channel = 1 / (1 + (-sum((v @ w0.T).clamp_min(0) @ w1.T for v in pooled)).exp())
    refined = x * channel[:, :, None, None]
    maps = torch.stack([refined.mean(1), refined.max(1).values], 1)
    spatial = F.conv2d(maps, state["spatial.conv.conv.weight"], padding=3) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(module(x), refined / (1 + (-spatial).exp()))


@pytest.mark.parametrize(("channels", "reduction"), [(16, 16), (24, 16), (64, 4), (100, 7)])
def test_parity_with_timm(channels: int, reduction: int) -> None:
    torch.manual_seed(1)
    ours = CBAMModule(channels, reduction)
    torch.manual_seed(1)
    assert_same_as_timm(ours, make_timm("cbam", channels, reduction), channels)


def test_one_module_in_every_residual_block() -> None:
    net = Classifier(ResNet(20, 10), CBAM())
    paths = [path for path, module in net.backbone.named_modules() if isinstance(module, CBAMModule)]
    assert paths == [f"stage{stage}.block{block}.residual.cbam" for stage in (1, 2, 3) for block in range(3)]


def test_the_module_works_with_the_papers_defaults() -> None:
    module = CBAMModule(256)
    assert module(torch.randn(2, 256, 14, 14)).shape == (2, 256, 14, 14)
    assert count_parameters(module) == 2 * 256 * 16 + 2 * 49 + 2


def test_a_training_batch_of_one_pixel() -> None:
    assert CBAMModule(16).train()(torch.randn(1, 16, 1, 1)).isfinite().all()


def test_invalid_reductions_are_rejected() -> None:
    with pytest.raises(OptionError, match="must be at least 1"):
        CBAM(reduction=0)
    with pytest.raises(OptionError, match="leaves none of the 8 channels"):
        CBAMModule(8)
