"""What GGAM reports of its guide during training."""

import logging
import math

import numpy as np
import pytest
import torch

from attnbench.attention.base import Output
from tests.attention.ggam.networks import CHANNELS, LABELS, features_of, ggam, total


def test_diagnostics() -> None:
    attention = ggam().eval()
    output = attention.classify(features_of(), None)
    found = attention.diagnostics(output, LABELS)
    s = output.extras["log_importance"].detach().exp().numpy()
    beta = attention.guide.weights(output, LABELS).numpy()
    p = 1 / (1 + np.exp(-beta))
    p /= p.sum(1, keepdims=True)
    expected = {
        "entropy": -(s * np.log(s)).sum(1).mean() / math.log(CHANNELS),
        "target_kl": (p * np.log(p * CHANNELS)).sum(1).mean(),
        "correlation": np.mean([np.corrcoef(row, weights)[0, 1] for row, weights in zip(s, beta, strict=True)]),
        "weight": np.abs(beta).mean(),
    }
    shares = {"guide_loss_share", "guide_gradient_share", "guide_importance_share"}
    assert found.keys() == {*expected, *shares, "collapsed"}
    assert found["collapsed"] == 0
    assert all(value.ndim == 0 and not value.requires_grad for value in found.values())
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value, abs=1e-10), name
    total(attention.losses(output, LABELS)).backward()  # the graph is still whole


def test_the_guides_shares_are_those_of_separate_backward_passes() -> None:
    attention = ggam(lambda_=0.7, weight_norm="zscore").eval()
    sizes: dict[str, list[float]] = {}
    for name in ("cross_entropy", "guide"):
        features = features_of()
        logits: list[torch.Tensor] = []
        hook = attention.excite.expand.register_forward_hook(
            lambda _module, _input, found, kept=logits: kept.append(found)
        )
        loss = attention.losses(attention.classify(features, None), LABELS)[name]
        hook.remove()
        gradients = torch.autograd.grad(loss, [features.final, *logits])
        sizes[name] = [loss.item(), *(gradient.norm().item() for gradient in gradients)]
    found = attention.diagnostics(attention.classify(features_of(), None), LABELS)
    names = ("guide_loss_share", "guide_gradient_share", "guide_importance_share")
    for name, guide, rest in zip(names, sizes["guide"], sizes["cross_entropy"], strict=True):
        assert 0 < found[name] < 1
        assert found[name].item() == pytest.approx(guide / (guide + rest), rel=1e-6), name


def test_a_guide_that_is_followed_shows_in_the_diagnostics() -> None:
    attention = ggam(weight_norm="zscore", lambda_=1.0, descriptor="literal").eval()
    features = features_of(requires_grad=False)
    optimiser = torch.optim.Adam(attention.excite.parameters(), 0.05)

    def step() -> dict[str, float]:
        output = attention.classify(features, None)
        found = {name: value.item() for name, value in attention.diagnostics(output, LABELS).items()}
        guide = attention.losses(output, LABELS)["guide"]
        optimiser.zero_grad()
        guide.backward()
        optimiser.step()
        return {**found, "guide": guide.item()}

    first = step()
    for _ in range(100):
        last = step()
    assert last["guide"] < first["guide"] / 4
    assert last["correlation"] > max(0.5, first["correlation"])
    assert last["entropy"] > first["entropy"]


def test_diagnostics_where_there_is_nothing_to_compare() -> None:
    unguided = ggam(lambda_=0.0)
    output = unguided.classify(features_of(), None)
    assert unguided.diagnostics(output, LABELS).keys() == {"entropy", "collapsed", "target_kl", "correlation", "weight"}
    with torch.no_grad():
        output = unguided.classify(features_of(), None)
    assert unguided.diagnostics(output, LABELS).keys() == {"entropy", "collapsed"}
    bare = ggam(channel=False, lambda_=0.0)
    output = bare.classify(features_of(), None)
    assert isinstance(output, Output)
    assert bare.diagnostics(output, LABELS) == {}


def test_a_collapsed_importance_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    attention = ggam()
    with caplog.at_level(logging.WARNING, logger="attnbench.attention"):
        attention.diagnostics(attention.classify(features_of(), None), LABELS)
        assert not caplog.records
        with torch.no_grad():
            attention.excite.expand.bias[0] += 100.0
        for _ in range(2):
            found = attention.diagnostics(attention.classify(features_of(), None), LABELS)
            assert found["entropy"] < 0.1
            assert found["collapsed"] == 1
    assert [record.message.split(":")[0] for record in caplog.records] == ["ggam"]
