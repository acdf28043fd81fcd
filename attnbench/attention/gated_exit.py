"""Early exit of gated attention: predict from the attention modules alone, and compute nothing else.

The journal version (Rodríguez et al., IEEE TMM 2019) claims up to 10 % less computation for a prediction that reaches
no fully connected layer; its code is not released. Here the network is cut, so that its cost can be counted.
"""

import copy

from torch import nn

from attnbench.attention.gated import FINAL, Gated
from attnbench.backbones.preact_resnet import PreActNet
from attnbench.backbones.resnet import ResNet
from attnbench.errors import require
from attnbench.model import Classifier


def early_exit(net: Classifier, modules: int | None = None) -> Classifier:
    """A copy of `net`, in evaluation mode, that predicts from its shallowest `modules` attention modules (all if
    None) and has no layer that they do not need; `count` tells its cost.

    It predicts as `predict=modules` does: gates among all modules if the deepest one reads the last map, else, as
    the gates read a map that is never computed, the mean. Raises `NotImplementedError` for other kinds of networks.
    """
    short = copy.deepcopy(net).eval()
    attention, backbone = short.attention, short.backbone
    if not isinstance(attention, Gated) or not isinstance(backbone, PreActNet | ResNet):
        raise NotImplementedError("only gated attention on a ResNet, PreActNet or WRN can leave early")
    count = attention.depth if modules is None else modules
    require(1 <= count <= attention.depth, "modules", count, f"must lie in 1 to {attention.depth}")
    backbone.remove_classifier()
    if count == attention.depth and attention.at_end:
        return short
    _keep_modules(attention, list(attention.points)[:count])
    _keep_stages(attention, backbone)
    return short


def _keep_modules(attention: Gated, stages: list[str]) -> None:
    attention.heads = nn.ModuleDict({stage: attention.heads[stage] for stage in stages})
    attention.points = {stage: attention.points[stage] for stage in stages}
    attention.modules_hypotheses //= attention.depth
    attention.modules_hypotheses *= len(stages)
    attention.depth, attention.gate = len(stages), None


def _keep_stages(attention: Gated, backbone: PreActNet | ResNet) -> None:
    """Drop what follows the deepest module. Its map, whatever it was, is now the last: the BN that ends a
    pre-activation network becomes the one that the next stage began with."""
    deepest = list(attention.points)[-1]
    kept = backbone.stages.index(deepest) + 1
    dropped = backbone.stages[kept:]
    if dropped and isinstance(backbone, PreActNet):
        backbone.bn = backbone.get_submodule(f"{dropped[0]}.block0.bn1")  # type: ignore[assignment]
    for stage in dropped:
        delattr(backbone, stage)
    backbone.stages = backbone.stages[:kept]
    backbone.bottlenecks = tuple(f"{stage}.out" for stage in backbone.stages[:-1])
    shared = backbone.stages if isinstance(backbone, PreActNet) else ()
    backbone.register_points({f"{stage}.pre": f"{stage}.block0.pre" for stage in shared})
    if attention.tap == "shared":
        attention.points[deepest] = FINAL
