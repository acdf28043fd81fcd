"""Schedules against torch's own, groups, and refusals."""

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from attnbench.build import build_model
from attnbench.classifier import Classifier
from attnbench.config.compose import compose
from attnbench.errors import OptionError
from attnbench.training.optimizers import make_optimizer
from attnbench.training.recipe import SCHEDULES, Recipe, probabilities

STEPS = 7  # an epoch


@cache
def default() -> dict[str, Any]:
    options: dict[str, Any] = compose()["recipe"]
    return options


def recipe(**options: Any) -> Recipe:
    return Recipe(**{**default(), **options})


def rates(found: Recipe) -> list[float]:
    return [found.rate(step, STEPS) for step in range(found.epochs * STEPS)]


def torch_rates(make: Any, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.smoke
def test_one_cycle_is_torchs() -> None:
    found = recipe(epochs=10, warmup=0.3, warmup_from=0.04, final=0.001)
    steps = 10 * STEPS
    # torch turns at step 0.3 * steps - 1, ours at 0.3 * steps
    expected = torch_rates(
        lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=steps,
            pct_start=(0.3 * steps + 1) / steps,
            div_factor=25,
            final_div_factor=0.04 / 0.001,
            cycle_momentum=False,
        ),
        steps,
    )
    assert rates(found) == pytest.approx(expected, abs=1e-9)


def test_cosine_is_torchs() -> None:
    found = recipe(schedule="cosine", warmup=0.0, epochs=6)
    schedulers = torch.optim.lr_scheduler
    expected = torch_rates(lambda o: schedulers.CosineAnnealingLR(o, T_max=6 * STEPS), 6 * STEPS)
    assert rates(found) == pytest.approx(expected, abs=1e-9)


def test_cosine_by_epoch_is_the_one_of_ggams_scripts() -> None:
    found = recipe(schedule="cosine", warmup=0.0, epochs=300, update="epoch", lr=0.1)
    for epoch in (0, 1, 150, 299):
        step = epoch * STEPS + 3
        expected = 0.05 * (1 + torch.cos(torch.tensor(torch.pi * epoch / 300))).item()
        assert found.lr * found.rate(step, STEPS) == pytest.approx(expected, abs=1e-7)


def test_by_epoch_the_rate_is_that_of_the_epochs_first_step() -> None:
    """So one_cycle reaches `final` in the last step only by step: a whole epoch at a rate of 0 would learn nothing."""
    by_step, by_epoch = rates(recipe(epochs=10)), rates(recipe(epochs=10, update="epoch"))
    assert by_epoch == [by_step[step - step % STEPS] for step in range(10 * STEPS)]
    assert by_step[-1] == 0 < by_epoch[-1]


def test_multi_step_is_torchs() -> None:
    found = recipe(schedule="multi_step", warmup=0.0, milestones=[2.0, 4.0], gamma=0.2, epochs=6)
    milestones = [2 * STEPS, 4 * STEPS]
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones, gamma=0.2), 6 * STEPS)
    assert rates(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("milestones", "epochs", "note"),
    [
        ([2.0, 4.0], 6, ""),
        ([2.0, 6.0], 6, "recipe.milestones: 6 comes after the last of 6 epochs; lr does not fall there"),
        ([150.0, 225.0], 1, "recipe.milestones: 150, 225 come after the only epoch; lr does not fall there"),
    ],
)
def test_milestones_that_are_never_reached_are_named(milestones: list[float], epochs: int, note: str) -> None:
    found = recipe(schedule="multi_step", warmup=0.0, milestones=milestones, epochs=epochs)
    assert found.note == note
    assert (min(rates(found)) == 1) == (min(milestones) >= epochs)
    assert recipe(schedule="cosine", milestones=milestones, epochs=epochs).note == ""


def test_warm_up_is_torchs() -> None:
    found = recipe(schedule="constant", warmup=0.5, warmup_from=0.1, epochs=4)
    expected = torch_rates(
        lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=2 * STEPS), 4 * STEPS
    )
    assert rates(found) == pytest.approx(expected)


def test_residual_attentions_milestones_are_its_steps() -> None:
    found = Recipe(**compose(["recipe=residual_attention_cifar", "data=cifar10"])["recipe"])
    steps = 782  # 50,000 images in batches of 64
    assert found.epochs * steps == pytest.approx(160_000, rel=0.003)
    assert [found.rate(step, steps) for step in (63_900, 64_100, 95_900, 96_100)] == pytest.approx([1, 0.1, 0.1, 0.01])


@given(
    schedule=st.sampled_from(SCHEDULES),
    update=st.sampled_from(["step", "epoch"]),
    epochs=st.integers(1, 9),
    steps=st.integers(1, 9),
    warmup=st.floats(0, 0.99),
    start=st.floats(0, 1),
    final=st.floats(0, 1),
)
def test_rates_stay_between_nothing_and_lr(
    schedule: str, update: str, epochs: int, steps: int, warmup: float, start: float, final: float
) -> None:
    found = recipe(
        schedule=schedule, update=update, epochs=epochs, warmup=warmup, warmup_from=start, final=final, milestones=[1.0]
    )
    for step in range(epochs * steps):
        assert 0 <= found.rate(step, steps) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"epochs": 0}, "epochs"),
        ({"lr": 0.0}, "lr"),
        ({"lr": -1.0}, "lr"),
        ({"lr": float("nan")}, "lr"),
        ({"lr": float("inf")}, "lr"),
        ({"momentum": 1.0}, "momentum"),
        ({"momentum": 0.0}, "momentum"),
        ({"weight_decay": -1e-4}, "weight_decay"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"clip_norm": -1.0}, "clip_norm"),
        ({"ema": 1.0}, "ema"),
        ({"accumulate": 0}, "accumulate"),
        ({"layer_decay": 0.0}, "layer_decay"),
        ({"layer_decay": 1.1}, "layer_decay"),
        ({"warmup_epochs": 10.0}, "warmup_epochs"),
        ({"warmup_epochs": -1.0}, "warmup_epochs"),
        ({"policy": "augmix"}, "policy"),
        ({"policy_operations": 0}, "policy_operations"),
        ({"policy_magnitude": 31}, "policy_magnitude"),
        ({"policy_probability": 1.1}, "policy_probability"),
        ({"erasing": 1.5}, "erasing"),
        ({"erasing_area": [0.3, 0.1]}, "erasing_area"),
        ({"erasing_area": [0.3]}, "erasing_area"),
        ({"erasing_fill": "zeros"}, "erasing_fill"),
        ({"cutout": 1}, "cutout"),
        ({"mixup": -0.1}, "mixup"),
        ({"cutmix": float("inf")}, "cutmix"),
        ({"mix_probability": 1.1}, "mix_probability"),
        ({"mix_switch": -0.1}, "mix_switch"),
        ({"warmup": 1.0}, "warmup"),
        ({"final": 2.0}, "final"),
        ({"optimizer": "adam"}, "optimizer"),
        ({"schedule": "poly"}, "schedule"),
        ({"update": "batch"}, "update"),
        ({"betas": [0.9]}, "betas"),
        ({"schedule": "multi_step"}, "milestones"),
        ({"milestones": [3.0, 2.0]}, "milestones"),
        ({"milestones": [0.0]}, "milestones"),
        ({"gamma": 0.0}, "gamma"),
        ({"backbone_lr_factor": 0.0}, "backbone_lr_factor"),
        ({"backbone_lr_factor": -0.1}, "backbone_lr_factor"),
        ({"backbone_lr_factor": 1001.0}, "backbone_lr_factor"),
        ({"backbone_lr_factor": float("nan")}, "backbone_lr_factor"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        recipe(**options)
    assert caught.value.key == key


def network(*overrides: str) -> Classifier:
    return build_model(compose(["data=digits", "backbone.width=4", *overrides]))


def test_decay_leaves_normalisation_and_biases_alone_if_so_wanted() -> None:
    net = network()
    decayed, free = make_optimizer(net, recipe(decay_norm_and_bias=False)).param_groups
    assert (decayed["weight_decay"], free["weight_decay"]) == (5e-4, 0)
    assert {parameter.ndim for parameter in free["params"]} == {1}
    assert len(decayed["params"]) + len(free["params"]) == len(list(net.parameters()))
    (group,) = make_optimizer(net, recipe(decay_norm_and_bias=True)).param_groups
    assert len(group["params"]) == len(list(net.parameters()))


def test_frozen_parameters_are_not_optimised() -> None:
    net = network()
    frozen = list(net.backbone.parameters())[:3]
    for parameter in frozen:
        parameter.requires_grad_(False)
    groups = make_optimizer(net, recipe(backbone_lr_factor=0.1)).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(net.parameters())) - 3


@pytest.mark.smoke
def test_optimisers() -> None:
    sgd = make_optimizer(network(), recipe(momentum=0.8, nesterov=True))
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.8, True)
    adamw = make_optimizer(network(), recipe(optimizer="adamw", betas=[0.8, 0.95]))
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.8, 0.95)


NEW_PARTS = {
    "attention=none": ("backbone.classifier.",),
    "attention=bam attention.reduction=2": ("backbone.classifier.", ".bam."),
    "attention=se attention.reduction=2": ("backbone.classifier.", ".se."),
    "attention=residual attention.modules=[1,1,1] backbone=preact_resnet20": ("backbone.classifier.", ".residual0."),
    "attention=gated": ("backbone.classifier.", "attention."),
    "attention=ggam": ("attention.",),
}
"""What the names of parameters hold that are not the backbone's own."""


def rates_by_name(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    """Each parameter's rate; fails if one is in two groups."""
    found = [(id(p), group["initial_lr"]) for group in optimizer.param_groups for p in group["params"]]
    assert len(found) == len(dict(found))
    return {name: dict(found)[id(parameter)] for name, parameter in net.named_parameters()}


@pytest.mark.parametrize("decay", [True, False])
@pytest.mark.parametrize(("overrides", "new"), NEW_PARTS.items())
def test_new_parts_train_at_lr_and_the_backbone_at_its_factor(
    overrides: str, new: tuple[str, ...], decay: bool
) -> None:
    net = network(*overrides.split())
    options = recipe(lr=0.5, backbone_lr_factor=0.1, decay_norm_and_bias=decay)
    optimizer = make_optimizer(net, options)
    found = rates_by_name(net, optimizer)
    assert found == {name: 0.5 if any(part in name for part in new) else 0.05 for name, _ in net.named_parameters()}
    assert set(found.values()) == {0.5, 0.05}
    for group in optimizer.param_groups:
        flat = {parameter.ndim <= 1 for parameter in group["params"]}
        assert group["weight_decay"] == 5e-4 or (flat == {True} and not decay)
        assert decay or len(flat) == 1


def test_without_a_factor_there_are_no_further_groups() -> None:
    net = network("attention=bam", "attention.reduction=2")
    for decay, count in ((True, 1), (False, 2)):
        groups = make_optimizer(net, recipe(decay_norm_and_bias=decay)).param_groups
        assert len(groups) == count
        assert {group["initial_lr"] for group in groups} == {0.4}
        # in the order that the network lists them in: an optimiser's state is stored by position
        places = {id(parameter): place for place, parameter in enumerate(net.parameters())}
        for group in groups:
            order = [places[id(parameter)] for parameter in group["params"]]
            assert order == sorted(order)


def test_first_steps_are_in_proportion() -> None:
    """Plain SGD moves a parameter by its rate times its gradient."""
    options = recipe(lr=0.5, momentum=0.0, nesterov=False, weight_decay=0.0, backbone_lr_factor=0.1)
    net = network("attention=bam", "attention.reduction=2").double()
    optimizer = make_optimizer(net, options)
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"]
    net(torch.randn(8, 1, 8, 8, dtype=torch.float64)).logsumexp(1).sum().backward()
    optimizer.step()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None
        rate = 0.5 if ".bam." in name or ".classifier." in name else 0.05
        assert torch.allclose(parameter.detach() - before[name], -rate * parameter.grad, atol=1e-12), name


def test_smoothing_is_torchs() -> None:
    logits, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    expected = nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(nn.functional.cross_entropy(logits, probabilities(labels, 4, 0.1)), expected)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_warm_up_in_epochs_counts_instead_of_the_share(share: float) -> None:
    found = recipe(schedule="constant", warmup=share, warmup_epochs=1.5, warmup_from=0.2, epochs=4)
    rising = torch_rates(lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.2, total_iters=10), 4 * STEPS)
    assert rates(found) == pytest.approx(rising)  # 1.5 epochs of 7 steps, to a whole number of steps
