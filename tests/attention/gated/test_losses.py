"""Likelihood and regularisers of gated attention."""

from collections.abc import Callable
from contextlib import closing

import pytest
import torch
import torch.nn.functional as F

from attnbench.attention.gated_regularisers import REGULARISERS
from attnbench.config.validate import RunConfig
from attnbench.training.classification_module import ClassificationModule
from attnbench.training.datamodule import Block, RunData
from attnbench.training.experiment import Experiment
from attnbench.training.hardware import resolve
from tests.attention.gated.networks import CASES, CLASSES, attention, build, images, randomised
from tests.attention.gated.reference import ByHand


@pytest.mark.parametrize("soft", [False, True], ids=["indices", "probabilities"])
@pytest.mark.parametrize("case", ["official", "own", "half logs", "alone", "paper", "shallow"])
@torch.no_grad()
def test_the_likelihood_is_what_the_combination_says(case: str, soft: bool) -> None:
    """Log-probabilities: the gate-weighted cross-entropies. Probabilities: below them (Jensen). Logits: one net's."""
    net = randomised(build(**CASES[case]))
    output, expected = net.output(images()), ByHand(net, images())
    target = torch.tensor([1, 4])
    shares = torch.rand(2, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).softmax(1)
    found = net.losses(output, shares if soft else target)["cross_entropy"]
    shares = shares if soft else F.one_hot(target, CLASSES).double()
    each = -(shares[:, None] * expected.hypotheses.log_softmax(-1)).sum(-1)  # (B, N)
    weighted = (expected.gates * each).sum(1).mean()
    combine = attention(net).combine
    if combine == "log_probabilities":
        assert torch.allclose(found, weighted, atol=1e-10)
    elif combine == "probabilities":
        assert found < weighted
        mixture = (expected.gates[:, :, None] * expected.hypotheses.softmax(-1)).sum(1)
        assert torch.allclose(found, -(shares * mixture.log()).sum(1).mean(), atol=1e-10)
    else:
        assert torch.allclose(found, F.cross_entropy(expected.output, shares), atol=1e-10)


def test_magnitudes_of_the_regularisers() -> None:
    spike = torch.zeros(3, 4, 8, 8)
    spike[:, :, 2, 5] = 1
    flat = torch.full((3, 4, 8, 8), 1 / 64)
    assert 0.1 * REGULARISERS["published"](spike) == pytest.approx(1.2)
    assert 0.1 * REGULARISERS["published"](flat) == pytest.approx(0.01875)
    assert 0.001 * REGULARISERS["official"](spike) == pytest.approx(12 / 16 / 256 * 0.001)
    assert 0.001 * REGULARISERS["official"](flat) == pytest.approx(12 / 16 / 256**2 * 0.001)
    assert REGULARISERS["official"](torch.ones(2, 3, 1, 1)) == pytest.approx(6 / 9)


@pytest.mark.parametrize("regulariser", ["published", "official"])
@torch.no_grad()
def test_regularisers_pair_by_pair(regulariser: str) -> None:
    net = randomised(build(regulariser=regulariser, regulariser_weight=3.0))
    output = net.output(images(2, 12, 15))
    levels = []
    for masks in net.maps(output).values():
        pairs = torch.zeros(2, 4, 4, dtype=torch.float64)
        for b, i, j in ((b, i, j) for b in range(2) for i in range(4) for j in range(4) if i != j):
            one, other = masks[b, i], masks[b, j]
            if regulariser == "official":
                even = (one.shape[0] // 2 * 2, one.shape[1] // 2 * 2)
                one, other = (m[: even[0], : even[1]] for m in (one, other))
                one, other = ((m[::2, ::2] + m[1::2, ::2] + m[::2, 1::2] + m[1::2, 1::2]) / 4 for m in (one, other))
            pairs[b, i, j] = (one * other).sum()
        levels.append(pairs.sum((1, 2)).mean() if regulariser == "published" else (pairs**2).mean())
    found = net.losses(output, torch.tensor([0, 1]))["regulariser"]
    assert torch.allclose(found, 3 * torch.stack(levels).mean(), rtol=1e-10)


def test_a_term_appears_only_where_it_can_be_minimised() -> None:
    assert (attention(build()).regulariser, attention(build(variant="official")).regulariser) == (
        "published",
        "official",
    )
    for options in ({"width": 1}, {"regulariser": "none"}, {"regulariser_weight": 0.0}):
        net = build(**options)
        assert net.losses(net.output(images(dtype=torch.float32)), torch.tensor([0, 1])).keys() == {"cross_entropy"}


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_evaluation_reports_the_first_term_of_the_training_loss(case: str) -> None:
    net = randomised(build(**CASES[case]))
    output, target = net.output(images()), torch.tensor([1, 4])
    reported = attention(net).evaluation_loss(output, target)
    assert torch.equal(reported, net.losses(output, target)["cross_entropy"])
    if attention(net).combine == "log_probabilities":
        assert output.logits.exp().sum(1).max() < 0.999
        assert reported > F.cross_entropy(output.logits, target) + 1e-3
    else:
        assert torch.allclose(reported, F.cross_entropy(output.logits, target), atol=1e-12)


@pytest.mark.parametrize("variant", ["paper", "official"])
@torch.no_grad()
def test_the_loss_of_an_evaluation_is_the_training_losses_first_term(
    tiny: Callable[..., RunConfig], variant: str
) -> None:
    """`val/loss` and `test/loss`, as the training module computes them batch by batch."""
    experiment = Experiment(tiny("attention=gated", f"attention.variant={variant}", "data.validation=50"))
    net = experiment.build_classifier().eval()
    hardware = resolve(experiment.options, experiment.blueprint)
    with closing(RunData(experiment.data, hardware, 0, ("validation",))) as data:
        module = ClassificationModule(net, experiment.recipe, hardware, data.loaders, 0)
        epoch = data.loaders["validation"].epoch(0)
        module.evaluation_step(Block(epoch, 0, len(epoch)))
        batches = [epoch.batch(number) for number in range(len(epoch))]
        with module.autocast():
            terms = [net.losses(net.output(x), labels)["cross_entropy"].float() * len(labels) for x, labels in batches]
        reported = module.evaluation.loss.compute().item() / 50
    assert reported == pytest.approx(torch.stack(terms).sum().item() / 50, rel=1e-6)
