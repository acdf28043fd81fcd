"""Keep parts of a backbone fixed: `recipe.freeze`."""

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.classifier import Network
from attnbench.errors import require_choice

NOTHING, EVERYTHING = "none", "backbone"


def freeze(net: Network, until: str) -> Sequence[nn.Module]:
    """Keep a backbone's own layers fixed up to the end of a stage; modules that an attention inserted keep training.

    Args:
        net: the network; gradients of the frozen parameters are switched off in place.
        until: `none`, a stage, `stem`, or `backbone` for all of it but its classifier.

    Returns:
        The batch normalisations of the frozen layers, in evaluation mode. They must stay in it, since their statistics
        are frozen too.

    Raises:
        OptionError: the backbone has no such part.
    """
    require_choice("freeze", until, (NOTHING, EVERYTHING, *net.backbone.parts))
    if until == NOTHING:
        return []
    frozen = net.backbone_modules() if until == EVERYTHING else list(net.backbone.own_modules(until))
    for module in frozen:
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
    norms = [module for module in frozen if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.eval()
    return norms
