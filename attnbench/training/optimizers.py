"""The optimisers of recipes, by name, and the parameter groups that they take."""

from types import ModuleType
from typing import Any

import torch
from torch import nn

from attnbench.classifier import Network
from attnbench.errors import NotInstalledError
from attnbench.training.recipe import Recipe

FROM_TIMM = ("lamb", "lion", "muon")


def make_optimizer(net: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """Build the recipe's optimiser over the parameters that train; see `parameter_groups`.

    - `sgd` and `adamw` (Loshchilov and Hutter, ICLR 2019) are torch's; on CPUs and NVIDIA's GPUs one kernel updates all
      parameters of a group.
    - `lamb` (You et al., ICLR 2020), `lion` (Chen et al., NeurIPS 2023) and `muon` (Jordan et al. 2024) are timm's.
      LAMB clips no gradient by itself here, as `clip_norm` does so. Muon orthogonalises the updates of weights of two
      and more dimensions, scaled to the size of AdamW's (Liu et al., arXiv 2502.16982); biases, normalisation and
      classifiers, an attention's own included, take AdamW at the same rate. torch's own Muon takes matrices only, so no
      convolution.

    Raises:
        NotInstalledError: timm is needed and not installed.
    """
    groups = parameter_groups(net, recipe)
    common: dict[str, Any] = {"lr": recipe.lr, "weight_decay": recipe.weight_decay}
    with_momentum = {**common, "momentum": recipe.momentum, "nesterov": recipe.nesterov}
    with_betas = {**common, "betas": (recipe.betas[0], recipe.betas[1])}
    fused = groups[0]["params"][0].device.type in ("cpu", "cuda")
    match recipe.optimizer:
        case "sgd":
            return _with_buffers(torch.optim.SGD(groups, **with_momentum, fused=fused))
        case "adamw":
            return torch.optim.AdamW(groups, **with_betas, fused=fused)
        case "lamb":
            optimizer = timm_optim().Lamb(groups, **with_betas, max_grad_norm=None)
        case "lion":
            optimizer = timm_optim().Lion(groups, **with_betas)
        case _:
            optimizer = timm_optim().Muon(groups, **with_momentum, betas=with_betas["betas"])
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


def _with_buffers(sgd: torch.optim.SGD) -> torch.optim.SGD:
    """Begin the momentum of all parameters at 0: the fused kernel fails if some had a gradient before others did."""
    for group in sgd.param_groups:
        if group["momentum"]:
            for parameter in group["params"]:
                sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return sgd


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set each group's learning rate to its `initial_lr` times a factor."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def timm_optim() -> ModuleType:
    """Return timm's optimisers. Raises `NotInstalledError` without timm."""
    try:
        import timm.optim
    except ModuleNotFoundError as error:
        raise NotInstalledError(
            "recipe.optimizer: lamb, lion and muon need the package timm: pip install 'attnbench[timm]'"
        ) from error
    return timm.optim


def parameter_groups(net: Network, recipe: Recipe) -> list[dict[str, Any]]:
    """Group the parameters that train by learning rate (`initial_lr`, which schedules multiply) and weight decay.

    With `backbone_lr_factor` the backbone's own layers form separate groups; with `layer_decay`, those of each part do.
    Without `decay_norm_and_bias`, so do parameters of one dimension (biases, normalisation), which then do not decay.
    """
    own = {id(p) for p in net.backbone_parameters()} if recipe.backbone_lr_factor != 1 else set()
    depths = depths_of(net) if recipe.layer_decay != 1 else {}
    head = head_parameters(net) if recipe.optimizer == "muon" else set()
    groups: dict[tuple[bool, int, bool, bool], list[nn.Parameter]] = {}
    for parameter in net.parameters():
        if parameter.requires_grad:
            key = id(parameter)
            free = parameter.ndim <= 1 and not recipe.decay_norm_and_bias
            groups.setdefault((key in own, depths.get(key, 0), key in head, free), []).append(parameter)
    return [
        {
            "params": groups[kind],
            "initial_lr": recipe.lr * (recipe.backbone_lr_factor if kind[0] else 1) * recipe.layer_decay ** kind[1],
            **({"use_fallback": True} if kind[2] else {}),
            **({"weight_decay": 0.0} if kind[3] else {}),
        }
        for kind in sorted(groups)
    ]


def depths_of(net: Network) -> dict[int, int]:
    """Return how many parts lie above each parameter of the backbone, by the parameter's identity.

    Clark et al., "ELECTRA", ICLR 2020, appendix; Bao et al., "BEiT", ICLR 2022: the rate of a layer is the head's times
    decay^depth. Here the parts are the stem and the stages, so the last stage has depth 1. The classifier, layers
    between the last stage and it, and what an attention inserted, have depth 0 and are not listed.
    """
    parts = net.backbone.parts
    depths: dict[int, int] = {}
    for position, part in enumerate(parts):
        for module in net.backbone.own_modules(part):
            for parameter in module.parameters(recurse=False):
                depths.setdefault(id(parameter), len(parts) - position)
    return depths


def head_parameters(net: Network) -> set[int]:
    """Return the identities of the parameters that compute logits: of the head, and of the attention's own layers."""
    modules = [net.get_submodule(path) for path in net.head_paths]
    modules += [net.attention.get_submodule(path) for path in net.attention.prediction_paths]
    return {id(parameter) for module in modules for parameter in module.parameters()}
