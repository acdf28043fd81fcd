"""Parts of a backbone that do not train: `recipe.freeze`."""

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.classifier import Classifier
from attnbench.errors import require_choice

NOTHING, EVERYTHING = "none", "backbone"


def freeze(net: Classifier, until: str) -> Sequence[nn.Module]:
    """Take gradients from a backbone's layers, up to the end of stage `until`; what was inserted goes on training.

    until: `none`, a stage, `stem`, or `backbone` for all of it but its classifier. Returns the batch normalisations
    of the frozen layers, in evaluation mode, where they must stay: their statistics are frozen too.
    Raises `OptionError` for a part that the backbone does not have.
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
