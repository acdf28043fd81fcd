"""Which parameters the losses of gated attention train."""

import pytest
import torch
import torch.nn.functional as F

from tests.attention.gated.networks import CASES, build, images, randomised, total


@pytest.mark.parametrize("kind", ["wrn", "preact", "20", "18"])
@pytest.mark.parametrize("case", ["paper", "official", "own", "heads", "half", "alone"])
def test_gradients_reach_every_parameter(case: str, kind: str) -> None:
    net = build(kind, **CASES[case])
    total(net, net.output(images(3, 16, 16, torch.float32))).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("case", ["paper", "official", "shallow"])
def test_stopped_gradients_leave_the_backbone_to_the_plain_net(case: str) -> None:
    """The backbone's gradient is that of the net's own hypothesis, at a fixed gate and without the masks' term."""
    net = randomised(build(**{**CASES[case], "combine": "log_probabilities", "stop_gradients": True}))
    target = torch.tensor([1, 4])
    output = net.output(images())
    names = [name for name, _ in net.backbone.named_parameters()]
    found = torch.autograd.grad(total(net, output, target), list(net.backbone.parameters()), allow_unused=True)
    plain = net.backbone.classify(net.backbone.features(images()))
    share = output.extras["gates"][:, -1].detach()
    alone = (share * F.cross_entropy(plain, target, reduction="none")).mean()
    for name, one, other in zip(names, found, torch.autograd.grad(alone, list(net.backbone.parameters())), strict=True):
        assert torch.allclose(one, other, atol=1e-10), name
    heads = torch.autograd.grad(total(net, net.output(images()), target), list(net.attention.parameters()))
    assert all(gradient.abs().sum() > 0 for gradient in heads)


def test_without_stopping_modules_train_the_backbone() -> None:
    """Gradients of the first stage flow even if the net's own prediction weighs nothing."""
    net = build(net_output="none", global_gates="none", depth=1)
    total(net, net.output(images(dtype=torch.float32))).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.backbone.parameters())
