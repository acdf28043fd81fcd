"""Parts of a backbone that do not train: `recipe.freeze`."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from attnbench.errors import require_choice
from attnbench.model import Classifier

NOTHING, EVERYTHING = "none", "backbone"


def freeze(net: Classifier, until: str) -> list[nn.Module]:
    """Take gradients from a backbone's layers, up to the end of stage `until`; what was inserted goes on training.

    until: `none`, a stage, `stem`, or `backbone` for all of it but its classifier. Returns the batch normalisations
    of the frozen layers, in evaluation mode, where they must stay: their statistics are frozen too.
    Raises `OptionError` for a part that the backbone does not have.
    """
    parts = net.backbone.parts
    require_choice("freeze", until, (NOTHING, EVERYTHING, *parts))
    if until == NOTHING:
        return []
    own = {id(parameter) for parameter in net.backbone_parameters()}
    frozen = list(net.backbone.own_modules(parts[-1] if until == EVERYTHING else until))
    parameters = net.backbone_parameters() if until == EVERYTHING else [p for m in frozen for p in m.parameters(False)]
    for parameter in parameters:
        if id(parameter) in own:
            parameter.requires_grad_(False)
    norms: list[nn.Module] = (
        _norms_beside(net) if until == EVERYTHING else [m for m in frozen if isinstance(m, _BatchNorm)]
    )
    for norm in norms:
        norm.eval()
    return norms


def _norms_beside(net: Classifier) -> list[nn.Module]:
    """All batch normalisations of the backbone but those in its classifier and in what was inserted."""
    others = {
        id(module) for path in [*net.inserted_paths, *net.head_paths] for module in net.get_submodule(path).modules()
    }
    return [m for m in net.backbone.modules() if isinstance(m, _BatchNorm) and id(m) not in others]
